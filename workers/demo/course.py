"""A course of training: a pupil on its way through a plan."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torch.optim import AdamW

from workers.demo.plan import Plan
from workers.demo.pupil import Pupil

MOMENTS = ("step", "exp_avg", "exp_avg_sq")

Weights = list[tuple[str, nn.Parameter]]


class Course:
    """A pupil at some step of a plan, with the optimizer of the stage it is in."""

    def __init__(self, plan: Plan, pupil: Pupil) -> None:
        self.plan, self.pupil, self.step = plan, pupil, 0
        self.weights, self.optimizer = self._stage()

    @property
    def joint(self) -> bool:
        return self.plan.is_joint(self.step)

    def advance(self) -> None:
        """On to the next step, with a fresh optimizer where a stage begins."""
        self.step += 1
        if self.step == self.plan.patch_steps:
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
