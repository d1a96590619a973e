"""A course of training: its stages, and where in it a pupil stands."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torch.optim import AdamW

from workers.demo.pupil import Pupil

WARM_UP = 100
LEAST = 0.03
"""share of the learning rate that is left at the end"""
MOMENTS = ("step", "exp_avg", "exp_avg_sq")

Weights = list[tuple[str, nn.Parameter]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What decides the result, together with the code: nothing is measured by the clock."""

    seed: int = 3
    pictures: int = 16
    """in one step"""
    patch_steps: int = 5000
    joint_steps: int = 5000
    polish_steps: int = 2400
    patch_rate: float = 1.5e-3
    joint_rate: float = 1.2e-3
    polish_rate: float = 6e-4

    @property
    def stages(self) -> tuple[Stage, ...]:
        lengths = (self.patch_steps, self.joint_steps, self.polish_steps)
        rates = (self.patch_rate, self.joint_rate, self.polish_rate)
        ends = accumulate(lengths)
        return tuple(Stage(end - steps, steps, rate) for end, steps, rate in zip(ends, lengths, rates, strict=True))

    @property
    def steps(self) -> int:
        return self.patch_steps + self.joint_steps + self.polish_steps

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


class Course:
    """A pupil at some step of a plan, with the optimizer of the stage it is in."""

    def __init__(self, plan: Plan, pupil: Pupil) -> None:
        self.plan, self.pupil, self.step = plan, pupil, 0
        self.weights, self.optimizer = self._stage()

    @property
    def joint(self) -> bool:
        return self.step >= self.plan.patch_steps

    def advance(self) -> None:
        """On to the next step, with a fresh optimizer where a stage begins."""
        self.step += 1
        if self.step in {stage.first for stage in self.plan.stages}:
            self.weights, self.optimizer = self._stage()

    def _stage(self) -> tuple[Weights, AdamW]:
        weights = list(self.pupil.named_parameters()) if self.joint else self.pupil.tower()
        matrices = [weight for _, weight in weights if weight.ndim >= 2]
        vectors = [weight for _, weight in weights if weight.ndim < 2]
        groups = [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}]
        return weights, AdamW(groups, lr=0.0, betas=(0.9, 0.97), fused=True)

    def save(self, path: Path) -> None:
        """Write all that is needed to go on. The file is whole or not there."""
        tensors = {f"pupil.{name}": weight.detach() for name, weight in self.pupil.named_parameters()}
        for name, weight in self.weights:
            tensors |= {f"{kind}.{name}": value for kind, value in self.optimizer.state[weight].items()}
        half = path.with_suffix(".part")
        save_file(tensors, half, {"step": str(self.step), "plan": json.dumps(asdict(self.plan))})
        half.replace(path)

    @classmethod
    def load(cls, path: Path, plan: Plan, pupil: Pupil) -> Course:
        """Go on from where `save` was called. Raises ValueError if that was another plan."""
        course = cls(plan, pupil)
        with safe_open(path, "pt") as file:
            facts = file.metadata()
            if json.loads(facts["plan"]) != asdict(plan):
                raise ValueError(f"{path} belongs to another plan: {facts['plan']}")
            course.step = int(facts["step"])
            course.weights, course.optimizer = course._stage()
            with torch.no_grad():
                for name, weight in pupil.named_parameters():
                    weight.copy_(file.get_tensor(f"pupil.{name}"))
            stored = set(file.keys())
            for name, weight in course.weights:
                # A weight that never had a gradient has no moments, nor has any where a stage begins.
                if f"step.{name}" in stored:
                    course.optimizer.state[weight] = {kind: file.get_tensor(f"{kind}.{name}") for kind in MOMENTS}
        return course
