"""A plan of training: its stages, how long they take, and how fast they go."""

from __future__ import annotations

import math
from dataclasses import dataclass

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
    patch_steps: int = 6000
    joint_steps: int = 10000
    patch_rate: float = 1.5e-3
    joint_rate: float = 1.2e-3

    @property
    def steps(self) -> int:
        return self.patch_steps + self.joint_steps

    def is_joint(self, step: int) -> bool:
        return step >= self.patch_steps

    def pace(self, step: int) -> float:
        """The learning rate of a step."""
        if self.is_joint(step):
            return self.joint_rate * _share(step - self.patch_steps, self.joint_steps)
        return self.patch_rate * _share(step, self.patch_steps)


def _share(done: int, steps: int) -> float:
    """Of a stage's learning rate: warm-up, then half a cosine."""
    warmth = min(1.0, (done + 1) / WARM_UP)
    return warmth * (LEAST + (1 - LEAST) * (0.5 + 0.5 * math.cos(math.pi * done / steps)))
