"""Random weights for a model made by its configuration alone."""

from __future__ import annotations

import torch
from torch import nn

DEVIATION = 0.15
"""at a width of 128: enough for pictures to change the answer"""
WIDTH = 128


@torch.no_grad()
def fill(model: nn.Module, seed: int) -> None:
    """Draw all weights anew, in the model's own order."""
    source = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        weight.normal_(std=DEVIATION * (WIDTH / max(WIDTH, fan_in(weight))) ** 0.5, generator=source)
        if scales(name, weight):
            weight.add_(1)


def fan_in(weight: torch.Tensor) -> int:
    return weight[0].numel() if weight.dim() > 1 else 1


def scales(name: str, weight: torch.Tensor) -> bool:
    """Whether it multiplies a whole layer, as norms and InternVL2's `ls1` and `ls2` do."""
    return weight.dim() == 1 and name.endswith(("weight", "ls1", "ls2"))
