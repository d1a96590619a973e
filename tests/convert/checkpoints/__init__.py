"""Small random checkpoints of the five families, as they lie on a model hub: weights, configs, processor, own code.

What is real: the parts of each family with their names and shapes, how its text and its pictures are prepared, and
how the checkpoint says so. So what loads and exports the published ones loads and exports these. What is not: the
weights, which are random numbers, and the sizes: widths of 128, two layers.
"""

from __future__ import annotations

from pathlib import Path

from tests.convert.checkpoints.families import FAMILIES
from tests.convert.checkpoints.weights import fill

__all__ = ["FAMILIES", "make"]


def make(family: str, folder: Path, seed: int = 0) -> Path:
    """Write a checkpoint into `folder` and return it. The same arguments give the same weights."""
    folder.mkdir(parents=True, exist_ok=True)
    model, processors = FAMILIES[family](folder)
    fill(model, seed)
    model.save_pretrained(folder)
    for processor in processors:
        processor.save_pretrained(folder)
    return folder
