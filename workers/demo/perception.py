"""What each patch of a picture shows: the first, easier lesson, with a head that is thrown away afterwards.

Taught from answers alone, the tower learned nothing for most of the time there is; told patch by patch what
covers it, it sees shapes and colours within minutes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.demo.architecture import GRID, VISION_WIDTH
from workers.demo.world import COLORS, GLYPHS, SHAPES, SIZES, Scene

PLACES = 12
"""columns and rows in which the middle of what covers a patch is told"""
PARTS = {
    "shape": len(SHAPES) + 1,
    "color": len(COLORS) + 1,
    "size": len(SIZES) + 1,
    "glyph": len(GLYPHS) + 1,
    "column": PLACES,
    "row": PLACES,
}
NOTHING = 0
IGNORED = -100
"""a label that teaches nothing"""

Labels = npt.NDArray[np.int64]


class PatchHead(nn.Linear):
    """Reads all parts off a patch."""

    def __init__(self) -> None:
        super().__init__(VISION_WIDTH, sum(PARTS.values()))

    def losses(self, features: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, float]]:
        """The loss over labels (batch, part, patch), and the share right of patches that show something."""
        logits = self(features).float().split(list(PARTS.values()), -1)
        covered = (labels[:, list(PARTS).index("shape")] + labels[:, list(PARTS).index("glyph")] > 0).float()
        weight = 1 + 3 * covered
        total, right = torch.zeros(()), {}
        for number, (part, guess) in enumerate(zip(PARTS, logits, strict=True)):
            truth = labels[:, number]
            loss = functional.cross_entropy(guess.transpose(1, 2), truth, reduction="none")
            told = covered if part in ("column", "row") else weight
            total = total + (0.4 if part in ("column", "row") else 1.0) * (loss * told).sum() / told.sum()
            shown = covered if part in ("column", "row") else (truth > NOTHING).float()
            hits = (guess.argmax(-1) == truth).float()
            right[part] = float((hits * shown).sum() / shown.sum().clamp(min=1))
        return total, right


def labels(scene: Scene, *, colors: bool = True) -> Labels:
    """For each part, what every patch shows, row by row. Colors may be left untold."""
    out = np.zeros((len(PARTS), GRID, GRID), np.int64)
    for thing in scene.things:
        looks = (
            1 + SHAPES.index(thing.shape),
            1 + list(COLORS).index(thing.color) if colors else IGNORED,
            1 + list(SIZES).index(thing.size),
            NOTHING,
        )
        _cover(out, scene, looks, (thing.x, thing.y), (thing.radius, thing.radius))
    if sign := scene.sign:
        for place, glyph in enumerate(sign.text):
            x = sign.x + (place - (len(sign.text) - 1) / 2) * sign.advance
            looks = (NOTHING, NOTHING, NOTHING, 1 + GLYPHS.index(glyph))
            _cover(out, scene, looks, (x, sign.y), (sign.advance / 2, sign.height / 2))
    return out.reshape(len(PARTS), -1)


def _cover(
    out: Labels, scene: Scene, looks: tuple[int, ...], middle: tuple[float, float], reach: tuple[float, float]
) -> None:
    """Write what a thing looks like on each patch whose middle lies in, or a third of a patch off, its oval."""
    centres = (np.arange(GRID) + 0.5) / GRID
    across = (centres - middle[0] / scene.width) / (reach[0] / scene.width + 0.3 / GRID)
    down = (centres - middle[1] / scene.height) / (reach[1] / scene.height + 0.3 / GRID)
    column, row = int(middle[0] / scene.width * PLACES), int(middle[1] / scene.height * PLACES)
    inside = np.add.outer(down**2, across**2) < 1
    for part, value in enumerate((*looks, column, row)):
        out[part][inside] = value
