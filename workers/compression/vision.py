"""The vision tower in 8 bit throughout, weights and what flows between them, and how far it then sees differently.

On a CPU the tower is most of what an answer costs. Weights alone are unpacked and multiplied as floats; a tower
that is quantised in full multiplies bytes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipeline.display import duration
from pipeline.errors import VisionTooFar, VisionUnsupported
from pipeline.models.builds import read_json
from workers.compression import Tell
from workers.compression.preprocessing import PREPARE, Tiles
from workers.compression.quiet import quiet_nncf
from workers.compression.weights import read, write

LEAST_COSINE = 0.98
"""With noise on its features the demo model's captions were as right as without down to here (82 %), at 0.96 fewer
were (78 % of 300); a tower calibrated on nothing but grey pictures came to 0.86, with 0 %."""
HELD_OUT = 5
"""every fifth picture is kept for the comparison"""
INPUT = "pixel_values"

Features = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How a quantised tower compares with the one it came from, on pictures that it was not calibrated on."""

    calibrated_on: int
    compared_on: int
    cosine: float
    """between the two towers' tokens, on average"""
    least_cosine: float
    """of the picture with the lowest"""
    relative_error: float
    """length of the difference beside the length of what is right"""
    milliseconds: float
    """a picture, or a tile of one, takes"""
    milliseconds_before: float

    @property
    def speed(self) -> float:
        """How many times as fast it is on this machine."""
        return self.milliseconds_before / self.milliseconds

    @property
    def is_near(self) -> bool:
        return self.least_cosine >= LEAST_COSINE

    def document(self) -> dict[str, Any]:
        told = {**asdict(self), "speed": self.speed, "least_cosine_allowed": LEAST_COSINE}
        return {name: round(value, 5) for name, value in told.items()}

    def sentence(self) -> str:
        return (
            f"on {self.compared_on} other pictures cosine {self.cosine:.4f}, at least {self.least_cosine:.4f}"
            f" (allowed: {LEAST_COSINE}), relative error {self.relative_error:.1%},"
            f" {self.speed:.2f} times as fast ({self.milliseconds_before:.3g} -> {self.milliseconds:.3g} ms)"
        )


def check_family(family: str) -> None:
    """Refuse a tower whose input cannot be made here."""
    if family not in PREPARE:
        raise VisionUnsupported(family=family, why=f"its input is made for {' and '.join(PREPARE)} only")


def quantise(xml: Path, out: Path, family: str, pictures: Iterable[Image.Image], *, tell: Tell) -> Agreement:
    """Write the tower `xml` to `out`, quantised. Refused when it then sees too differently."""
    samples = prepared(xml.parent, family, pictures)
    kept = samples[::HELD_OUT]
    known = [tiles for number, tiles in enumerate(samples) if number % HELD_OUT]
    begun = time.monotonic()
    tell(f"{xml.stem}: to w8a8, calibrated on {len(known)} pictures")
    write(_quantised(read(xml), known), out)
    agreement = compare(xml, out, known, kept)
    tell(f"{xml.stem}: w8a8 after {duration(time.monotonic() - begun)}: {agreement.sentence()}")
    if not agreement.is_near:
        raise VisionTooFar(figures=agreement.sentence())
    return agreement


def prepared(build: Path, family: str, pictures: Iterable[Image.Image]) -> list[Tiles]:
    """One tile of each picture, here the first and there the next: neighbours in a picture tell little more."""
    config = read_json(build / "preprocessor_config.json")
    samples = []
    for number, picture in enumerate(pictures):
        tiles = PREPARE[family](picture, config)
        samples.append(tiles[number % len(tiles)][None])
    return samples


def compare(before: Path, after: Path, known: Sequence[Tiles], kept: Sequence[Tiles]) -> Agreement:
    """Both towers as a worker would run them, in turns, so that whatever else the machine does slows both."""
    import openvino

    core = openvino.Core()
    towers = [core.compile_model(path, "CPU") for path in (before, after)]
    for tower in towers:
        tower({INPUT: kept[0]})  # the first run allocates
    seconds: tuple[list[float], list[float]] = ([], [])
    cosines, errors = [], []
    for tiles in kept:
        right, found = (_timed(tower, tiles, laps) for tower, laps in zip(towers, seconds, strict=True))
        cosines.append(_cosine(right, found))
        errors.append(float(np.linalg.norm(found - right) / np.linalg.norm(right)))
    return Agreement(
        calibrated_on=len(known),
        compared_on=len(kept),
        cosine=sum(cosines) / len(cosines),
        least_cosine=min(cosines),
        relative_error=sum(errors) / len(errors),
        milliseconds=median(seconds[1]) * 1e3,
        milliseconds_before=median(seconds[0]) * 1e3,
    )


def _quantised(model: Any, samples: Sequence[Tiles]) -> Any:
    with quiet_nncf("the vision tower") as nncf:
        return nncf.quantize(
            model,
            nncf.Dataset(samples, lambda tiles: {INPUT: tiles}),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(samples),
        )


def _timed(tower: Any, tiles: Tiles, laps: list[float]) -> Features:
    start = time.perf_counter()
    features = tower({INPUT: tiles})[0]
    laps.append(time.perf_counter() - start)
    return np.array(features, np.float32)


def _cosine(right: Features, found: Features) -> float:
    """The mean over a picture's tokens."""
    lengths = np.linalg.norm(right, axis=-1) * np.linalg.norm(found, axis=-1)
    # A token that has become nothing is like no other.
    return float(np.mean(np.sum(right * found, axis=-1) / np.maximum(lengths, np.finfo(np.float32).tiny)))
