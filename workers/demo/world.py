"""The demo model's world as values: what a scene holds, and nothing of how it is drawn or asked about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

RGB = tuple[int, int, int]

COLORS: Mapping[str, RGB] = {
    "red": (215, 30, 35),
    "orange": (250, 140, 15),
    "yellow": (250, 220, 30),
    "green": (30, 150, 55),
    "blue": (35, 75, 215),
    "purple": (125, 40, 160),
    "pink": (250, 135, 190),
    "black": (20, 20, 20),
}
SHAPES = ("circle", "square", "triangle", "star", "cross", "diamond")
SIZES: Mapping[str, tuple[float, float]] = {"small": (0.065, 0.084), "large": (0.125, 0.155)}
"""radius as a share of the picture's shorter side; the gap between them keeps the answer plain"""
BACKGROUNDS: Mapping[str, RGB] = {
    "white": (250, 250, 250),
    "gray": (188, 188, 188),
    "brown": (172, 128, 96),
    "beige": (236, 219, 184),
    "cyan": (150, 226, 232),
}
PATTERNS = ("plain", "striped", "shaded")
GLYPHS = "0123456789ACEFHKLMPRTUXY"
"""what a sign may say; letters that a coarse picture cannot tell from a digit or another letter are left out"""
FORMATS: Mapping[str, float] = {
    "landscape": 4 / 3,
    "photo": 3 / 2,
    "wide": 16 / 9,
    "panorama": 21 / 9,
    "square": 1.0,
    "portrait": 3 / 4,
    "tall": 9 / 16,
}
"""width over height"""
MOST_THINGS = 5

HELD_OUT = frozenset(
    {
        ("red", "star"),
        ("orange", "circle"),
        ("yellow", "cross"),
        ("green", "diamond"),
        ("blue", "triangle"),
        ("purple", "square"),
        ("pink", "star"),
        ("black", "circle"),
    }
)
"""colours and shapes that never meet in a scene the model was taught with: 8 of 48"""


@dataclass(frozen=True, slots=True)
class Thing:
    """One shape. Its centre and radius are in pixels."""

    color: str
    shape: str
    size: str
    x: float
    y: float
    radius: float

    @property
    def name(self) -> str:
        return f"{self.color} {self.shape}"


@dataclass(frozen=True, slots=True)
class Sign:
    """One or two characters to read, with the centre and the height of their line in pixels."""

    text: str
    x: float
    y: float
    height: float

    @property
    def advance(self) -> float:
        """From one character's middle to the next one's."""
        return self.height * 0.86

    @property
    def radius(self) -> float:
        """Of the circle that holds the line."""
        return 0.5 * self.height + 0.5 * self.advance * (len(self.text) - 1)


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture that is not drawn yet, with all that decides how it will look."""

    width: int
    height: int
    background: str
    pattern: str
    things: tuple[Thing, ...]
    sign: Sign | None
    noise: int
    """largest change of a pixel's value"""
    jpeg: int | None
    """quality of the JPEG it once was, if it was one"""
    grain: int
    """seeds the small accidents of drawing: hues, noise, slant"""

    def place(self, thing: Thing | Sign) -> tuple[float, float]:
        """The centre as shares of width and height: the model sees every picture as a square."""
        return thing.x / self.width, thing.y / self.height

    def offset(self, one: Thing, other: Thing) -> tuple[float, float]:
        """How far `one` is to the right of and below `other`, as shares of width and height."""
        return (one.x - other.x) / self.width, (one.y - other.y) / self.height
