"""Scenes as pictures."""

from __future__ import annotations

import io
import math
import random
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from workers.demo.world import BACKGROUNDS, COLORS, RGB, Scene, Sign, Thing

Point = tuple[float, float]
Light = npt.NDArray[np.float32]
INK = (25, 25, 35)
UNLIKE = 65
"""distance in RGB from which a color is another one"""


def draw(scene: Scene, *, strange: bool = False) -> Image.Image:
    """The picture of a scene: the same pixels each time. `strange` gives its things colors that have no name."""
    rng = random.Random(scene.grain)
    picture = _background(scene, rng)
    pen = ImageDraw.Draw(picture)
    for thing in scene.things:
        _thing(pen, thing, _strange_hue(scene, rng) if strange else _hue(COLORS[thing.color], rng))
    if scene.sign:
        _sign(pen, scene.sign)
    return _as_jpeg(_noisy(picture, scene.noise, rng), scene.jpeg)


def _hue(color: RGB, rng: random.Random, most: int = 10) -> RGB:
    red, green, blue = (max(0, min(255, value + rng.randint(-most, most))) for value in color)
    return red, green, blue


def _strange_hue(scene: Scene, rng: random.Random) -> RGB:
    """A color far from every named one, and from what it lies on."""
    while True:
        hue = (rng.randrange(256), rng.randrange(256), rng.randrange(256))
        if all(math.dist(hue, named) > UNLIKE for named in (*COLORS.values(), BACKGROUNDS[scene.background])):
            return hue


def _background(scene: Scene, rng: random.Random) -> Image.Image:
    base = _hue(BACKGROUNDS[scene.background], rng, 6)
    if scene.pattern == "plain":
        return Image.new("RGB", (scene.width, scene.height), base)
    light = (_stripes if scene.pattern == "striped" else _shade)(scene.width, scene.height, rng)
    pixels = np.array(base, np.float32) + light[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _slope(width: int, height: int, rng: random.Random) -> Light:
    """How far each pixel lies along a direction drawn by lot, in pixels."""
    angle = rng.uniform(0, math.pi)
    across, down = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    slope: Light = np.add.outer(down * np.float32(math.sin(angle)), across * np.float32(math.cos(angle)))
    return slope


def _stripes(width: int, height: int, rng: random.Random) -> Light:
    period, depth = rng.uniform(16, 60), rng.uniform(6, 12)
    return np.where(_slope(width, height, rng) % period < period / 2, -depth, depth).astype(np.float32)


def _shade(width: int, height: int, rng: random.Random) -> Light:
    slope = _slope(width, height, rng)
    share = (slope - slope.min()) / (slope.max() - slope.min())
    light: Light = ((share - 0.5) * 2 * rng.uniform(8, 16)).astype(np.float32)
    return light


def _thing(pen: ImageDraw.ImageDraw, thing: Thing, hue: RGB) -> None:
    x, y, radius = thing.x, thing.y, thing.radius
    if thing.shape == "circle":
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=hue)
    else:
        pen.polygon([(x + radius * across, y + radius * down) for across, down in OUTLINES[thing.shape]], fill=hue)


def _star() -> list[Point]:
    lengths = (1.0, 0.42)
    turns = [(lengths[corner % 2], corner * math.pi / 5) for corner in range(10)]
    return [(length * math.sin(turn), -length * math.cos(turn)) for length, turn in turns]


def _cross(arm: float = 0.34) -> list[Point]:
    corner = [(-arm, -1.0), (arm, -1.0), (arm, -arm)]
    quarters = [corner]
    for _ in range(3):
        quarters.append([(-down, across) for across, down in quarters[-1]])
    return [point for quarter in quarters for point in quarter]


OUTLINES: dict[str, list[Point]] = {
    "square": [(-0.86, -0.86), (0.86, -0.86), (0.86, 0.86), (-0.86, 0.86)],
    "triangle": [(0, -1), (0.95, 0.8), (-0.95, 0.8)],
    "diamond": [(0, -1), (0.8, 0), (0, 1), (-0.8, 0)],
    "star": _star(),
    "cross": _cross(),
}


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, so that the same sign looks the same on every machine."""
    return ImageFont.load_default(size)


def _sign(pen: ImageDraw.ImageDraw, sign: Sign) -> None:
    # Capitals of Pillow's font stand 0.7 of its size high; "mm" puts the line's middle on the point,
    # which lies a little below the middle of a capital.
    font = _font(round(sign.height / 0.8))
    first = sign.x - sign.advance * (len(sign.text) - 1) / 2
    weight = max(1, round(sign.height / 28))
    for place, glyph in enumerate(sign.text):
        at = (first + place * sign.advance, sign.y)
        pen.text(at, glyph, INK, font, anchor="mm", stroke_width=weight, stroke_fill=INK)


def _noisy(picture: Image.Image, noise: int, rng: random.Random) -> Image.Image:
    seed = rng.getrandbits(32)
    if not noise:
        return picture
    pixels = np.asarray(picture).astype(np.int16)
    pixels += np.random.default_rng(seed).integers(-noise, noise + 1, pixels.shape, np.int16)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _as_jpeg(picture: Image.Image, quality: int | None) -> Image.Image:
    if quality is None:
        return picture
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")
