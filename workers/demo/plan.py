"""A plan of training: its stages, how long they take, and how fast they go."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate

CHECKPOINT = "checkpoint"
STATE = "state.safetensors"
"""names in the folder of a run"""

WARM_UP = 100
LEAST = 0.03
"""share of the learning rate that is left at the end of a stage"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What decides the result, together with the code: nothing is measured by the clock."""

    seed: int = 3
    pictures: int = 16
    """in one step"""
    patch_steps: int = 5000
    joint_steps: int = 5000
    polish_steps: int = 2300
    patch_rate: float = 1.5e-3
    joint_rate: float = 1.2e-3
    polish_rate: float = 8e-4

    @property
    def stages(self) -> tuple[Stage, ...]:
        lengths = (self.patch_steps, self.joint_steps, self.polish_steps)
        rates = (self.patch_rate, self.joint_rate, self.polish_rate)
        ends = accumulate(lengths)
        return tuple(Stage(end - steps, steps, rate) for end, steps, rate in zip(ends, lengths, rates, strict=True))

    @property
    def steps(self) -> int:
        return self.patch_steps + self.joint_steps + self.polish_steps

    def is_polish(self, step: int) -> bool:
        return step >= self.patch_steps + self.joint_steps

    def pace(self, step: int) -> float:
        """The learning rate of a step."""
        return next(stage for stage in reversed(self.stages) if step >= stage.first).pace(step)


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of a course with one rise and fall of the learning rate."""

    first: int
    steps: int
    rate: float

    def pace(self, step: int) -> float:
        """Warm-up, then half a cosine."""
        done = step - self.first
        warmth = min(1.0, (done + 1) / WARM_UP)
        share = LEAST + (1 - LEAST) * (0.5 + 0.5 * math.cos(math.pi * done / self.steps))
        return self.rate * (warmth * share)
