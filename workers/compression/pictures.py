"""Pictures to calibrate on: a folder's, opened by the decoder processes, else scenes drawn by lot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from PIL import Image

from pipeline.errors import PicturesTooFew
from pipeline.locators import Picture, display
from pipeline.settings import Settings
from pipeline.sources.paths import from_paths
from workers.child import Refused
from workers.compression import Tell
from workers.demo.drawing import draw
from workers.demo.scenes import scene
from workers.limits import DecodeLimits
from workers.opener import Opener

WANTED = 40
LEAST = 10
SEED = "calibration"


def drawn(count: int = WANTED) -> Iterator[Image.Image]:
    for number in range(count):
        yield draw(scene(SEED, number))


def found(folder: Path, settings: Settings, tell: Tell, count: int = WANTED) -> list[Image.Image]:
    """The first pictures in a folder that can be opened; the others are named."""
    pictures = from_paths([str(folder)], recursive=True, patterns=False, note=tell)
    with Opener(DecodeLimits.of(settings)) as opener:
        opened = list(islice(_opened(pictures, opener, tell), count))
    if len(opened) < LEAST:
        raise PicturesTooFew(folder=folder, found=len(opened), least=LEAST)
    return opened


def _opened(pictures: Iterable[Picture], opener: Opener, tell: Tell) -> Iterator[Image.Image]:
    for picture in pictures:
        try:
            yield opener.open(picture.locator)
        except Refused as refusal:
            tell(f"{display(picture.locator)}: {refusal.message}")
