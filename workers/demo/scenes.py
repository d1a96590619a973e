"""Scenes drawn by lot: the same seed and number always give the same scene."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence

from workers.demo.world import (
    BACKGROUNDS,
    COLORS,
    FORMATS,
    GLYPHS,
    HELD_OUT,
    MOST_THINGS,
    PATTERNS,
    SHAPES,
    SIZES,
    Scene,
    Sign,
    Thing,
)

SHORT_SIDE = (224, 352)
TRIES = 60
"""places tried for one thing before the whole scene is thrown away"""

_COUNTS = (18, 25, 25, 20, 12)
_FORMATS = (26, 8, 12, 14, 16, 8, 16)


class Crowded(Exception):
    """The things drawn by lot do not fit beside each other."""


def scene(
    seed: int | str, number: int, *, held_out: bool = False, form: str | None = None, most: int = MOST_THINGS
) -> Scene:
    """Scene `number` of the series `seed`.

    `held_out` puts one thing in it whose colour and shape never meet in training; without it there is none.
    `form` asks for one of the picture formats.
    """
    rng = random.Random(f"scene {seed} {number}")
    while True:
        try:
            return _draw_lots(rng, held_out, form, most)
        except Crowded:
            continue


def exam(seed: int | str, count: int, *, form: str | None = None) -> Iterator[Scene]:
    """Scenes to examine the model with: two of five hold a combination it never saw."""
    for number in range(count):
        yield scene(f"exam {seed}", number, held_out=number % 5 < 2, form=form)


def _draw_lots(rng: random.Random, held_out: bool, form: str | None, most: int) -> Scene:
    width, height = _canvas(rng, form or rng.choices(list(FORMATS), _FORMATS)[0])
    count = rng.choices(range(1, most + 1), _COUNTS[:most])[0]
    sign = _sign(rng, width, height) if rng.random() < 0.5 else None
    return Scene(
        width=width,
        height=height,
        background=rng.choice(list(BACKGROUNDS)),
        pattern=rng.choice(PATTERNS),
        things=_things(rng, width, height, _looks(rng, count, held_out), sign),
        sign=sign,
        noise=rng.choice((0, 0, 8, 16)),
        jpeg=rng.choice((None, None, 90, 60, 35)),
        grain=rng.getrandbits(32),
    )


def _canvas(rng: random.Random, form: str) -> tuple[int, int]:
    """Not quite the named format each time, so that the formats between are known too."""
    ratio = FORMATS[form] * math.exp(rng.uniform(-0.08, 0.08))
    short = rng.randint(*SHORT_SIDE)
    return (round(short * ratio), short) if ratio >= 1 else (short, round(short / ratio))


def _sign(rng: random.Random, width: int, height: int) -> Sign:
    text = "".join(rng.choice(GLYPHS) for _ in range(rng.choice((1, 2))))
    sign = Sign(text, 0.0, 0.0, min(width, height) * rng.uniform(0.22, 0.3))
    x, y = _somewhere(rng, width, height, sign.radius)
    return Sign(text, x, y, sign.height)


def _looks(rng: random.Random, count: int, held_out: bool) -> list[tuple[str, str]]:
    """Colours and shapes, no two alike; about a third share one of both with an earlier one."""
    looks = [rng.choice(sorted(HELD_OUT))] if held_out else []
    while len(looks) < count:
        color, shape = rng.choice(list(COLORS)), rng.choice(SHAPES)
        if looks and rng.random() < 0.35:
            earlier = rng.choice(looks)
            color, shape = (earlier[0], shape) if rng.random() < 0.5 else (color, earlier[1])
        if (color, shape) not in looks and (color, shape) not in HELD_OUT:
            looks.append((color, shape))
    rng.shuffle(looks)
    return looks


def _things(
    rng: random.Random, width: int, height: int, looks: Sequence[tuple[str, str]], sign: Sign | None
) -> tuple[Thing, ...]:
    things: list[Thing] = []
    for color, shape in looks:
        size = rng.choice(list(SIZES))
        radius = min(width, height) * rng.uniform(*SIZES[size])
        for _ in range(TRIES):
            thing = Thing(color, shape, size, *_somewhere(rng, width, height, radius), radius)
            if _fits(thing, things, sign, width, height, len(looks)):
                things.append(thing)
                break
        else:
            raise Crowded
    return tuple(things)


def _somewhere(rng: random.Random, width: int, height: int, radius: float) -> tuple[float, float]:
    edge = radius + 4
    return rng.uniform(edge, width - edge), rng.uniform(edge, height - edge)


def _fits(thing: Thing, others: Sequence[Thing], sign: Sign | None, width: int, height: int, count: int) -> bool:
    """Nothing touches, and what a caption says of the order can be seen.

    Captions name three and more things from left to right, and two along the axis they lie further apart on.
    """
    if any(_touch(thing, other) for other in others) or (sign and _touch(thing, sign)):
        return False
    for other in others:
        across, down = abs(thing.x - other.x) / width, abs(thing.y - other.y) / height
        if count > 2 and across < 0.07:
            return False
        if count == 2 and abs(across - down) < 0.06:
            return False
    return True


def _touch(one: Thing, other: Thing | Sign) -> bool:
    return math.hypot(one.x - other.x, one.y - other.y) < (one.radius + other.radius) * 1.08 + 4
