"""Questions about a scene with the one true answer to each."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from workers.demo.captions import caption
from workers.demo.phrases import PHRASES
from workers.demo.world import BACKGROUNDS, COLORS, HELD_OUT, SHAPES, SIZES, Scene, Thing

SIDES: Mapping[str, tuple[int, int]] = {
    "to the left of": (-1, 0),
    "to the right of": (1, 0),
    "above": (0, -1),
    "below": (0, 1),
}
CLEARLY = 0.08
"""share of the picture that makes one thing plainly left of or above another"""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and what a right answer says."""

    kind: str
    text: str
    answer: str


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question before it is put into words."""

    phrase: str
    answer: str
    words: Mapping[str, str]


_Asker = Callable[[Scene, random.Random], _Asked | None]


def ask(scene: Scene, kind: str, rng: random.Random, *, kept: bool = False) -> Question | None:
    """One question of a kind, or none if the scene leaves every answer open to doubt.

    `kept` puts it in words that were kept back from training.
    """
    asked = ASKERS[kind](scene, rng)
    if asked is None:
        return None
    phrasing = PHRASES[asked.phrase]
    template = rng.choice(phrasing.kept if kept else phrasing.taught)
    return Question(kind, _upper_first(template.format(**asked.words)), asked.answer)


def describe(scene: Scene, rng: random.Random, *, kept: bool = False) -> Question:
    """The request for a caption, with the caption."""
    phrasing = PHRASES["caption"]
    return Question("caption", rng.choice(phrasing.kept if kept else phrasing.taught), caption(scene))


def exam_questions(
    scene: Scene, rng: random.Random, *, kinds: int | None = None, kept: bool = False
) -> Iterator[Question]:
    """A caption, then one question of each kind the scene allows, or of as many kinds as asked for, by lot."""
    yield describe(scene, rng, kept=kept)
    order = list(KINDS) if kinds is None else rng.sample(KINDS, len(KINDS))
    found = (question for kind in order if (question := _persist(scene, kind, rng, kept)))
    for number, question in enumerate(found):
        if number == kinds:
            return
        yield question


def _persist(scene: Scene, kind: str, rng: random.Random, kept: bool, tries: int = 4) -> Question | None:
    """Ask again about something else if the first choice was open to doubt."""
    return next((question for _ in range(tries) if (question := ask(scene, kind, rng, kept=kept))), None)


def _upper_first(text: str) -> str:
    return text[0].upper() + text[1:]


def _yes(true: bool) -> str:
    return "yes" if true else "no"


def _color(scene: Scene, rng: random.Random) -> _Asked | None:
    thing = rng.choice(scene.things)
    if sum(other.shape == thing.shape for other in scene.things) > 1:
        return None
    if rng.random() < 0.7:
        return _Asked("color", thing.color, {"shape": thing.shape})
    color = rng.choice((thing.color, rng.choice(list(COLORS))))
    if _would_tell(scene, color, thing.shape):
        return None
    return _Asked("is color", _yes(color == thing.color), {"shape": thing.shape, "color": color})


def _shape(scene: Scene, rng: random.Random) -> _Asked | None:
    thing = rng.choice(scene.things)
    if sum(other.color == thing.color for other in scene.things) > 1:
        return None
    return _Asked("shape", thing.shape, {"color": thing.color})


def _count(scene: Scene, rng: random.Random) -> _Asked:
    if rng.random() < 0.35:
        return _Asked("count", str(len(scene.things)), {})
    thing = rng.choice(scene.things)
    if rng.random() < 0.5:
        color = rng.choice((thing.color, thing.color, rng.choice(list(COLORS))))
        number = sum(other.color == color for other in scene.things)
        return _Asked("count of", str(number), {"many": f"{color} {rng.choice(('shapes', 'objects'))}"})
    shape = rng.choice((thing.shape, thing.shape, rng.choice(SHAPES)))
    return _Asked("count of", str(sum(other.shape == shape for other in scene.things)), {"many": _plural(shape)})


def _plural(shape: str) -> str:
    return f"{shape}es" if shape == "cross" else f"{shape}s"


def _presence(scene: Scene, rng: random.Random) -> _Asked | None:
    """Half of what is asked for is there; most of the rest shares colour or shape with something that is."""
    thing = rng.choice(scene.things)
    color, shape = thing.color, thing.shape
    match rng.randrange(10):
        case 0 | 1:
            shape = rng.choice(SHAPES)
        case 2 | 3:
            color = rng.choice(list(COLORS))
        case 4:
            color, shape = rng.choice(list(COLORS)), rng.choice(SHAPES)
    if _would_tell(scene, color, shape):
        return None
    return _Asked("presence", _yes(_has(scene, color, shape)), {"one": _article(f"{color} {shape}")})


def _has(scene: Scene, color: str, shape: str) -> bool:
    return any((thing.color, thing.shape) == (color, shape) for thing in scene.things)


def _would_tell(scene: Scene, color: str, shape: str) -> bool:
    """Asking about an absent held-out combination would teach that there is never one."""
    return (color, shape) in HELD_OUT and not _has(scene, color, shape)


def _towards(scene: Scene, one: Thing, other: Thing, side: str) -> float:
    """How far `one` lies from `other` towards a side: below zero means on the opposite one."""
    across, down = scene.offset(one, other)
    right, below = SIDES[side]
    return across * right + down * below


def _relation(scene: Scene, rng: random.Random) -> _Asked | None:
    if len(scene.things) < 2:
        return None
    one, other = rng.sample(scene.things, 2)
    side = rng.choice(list(SIDES))
    way = _towards(scene, one, other, side)
    if abs(way) < CLEARLY:
        return None
    return _Asked("relation", _yes(way > 0), {"thing": one.name, "side": side, "other": other.name})


def _neighbour(scene: Scene, rng: random.Random) -> _Asked | None:
    """Only where one thing or nothing is on that side; nothing is asked for less often than it occurs."""
    if len(scene.things) < 2:
        return None
    thing, side = rng.choice(scene.things), rng.choice(list(SIDES))
    others = [(other, _towards(scene, other, thing, side)) for other in scene.things if other is not thing]
    there = [other for other, way in others if way > 0]
    if any(abs(way) < CLEARLY for _, way in others) or len(there) > 1 or (not there and rng.random() < 0.6):
        return None
    answer = _article(there[0].name) if there else "nothing"
    return _Asked("neighbour", answer, {"side": side, "thing": thing.name})


def _article(name: str) -> str:
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def _size(scene: Scene, rng: random.Random) -> _Asked:
    thing = rng.choice(scene.things)
    if rng.random() < 0.7:
        return _Asked("size", thing.size, {"thing": thing.name})
    size = rng.choice(list(SIZES))
    return _Asked("is size", _yes(size == thing.size), {"thing": thing.name, "size": size})


def _place(scene: Scene, rng: random.Random) -> _Asked | None:
    thing = rng.choice(scene.things)
    answer = where(scene, thing)
    return _Asked("place", answer, {"thing": thing.name}) if answer else None


def where(scene: Scene, thing: Thing) -> str | None:
    """The part of the picture, of nine, that a thing's centre lies in; none if it is close to a border of them."""
    across, down = scene.place(thing)
    if any(abs(share - border) < 0.04 for share in (across, down) for border in (1 / 3, 2 / 3)):
        return None
    words = (("top", "", "bottom")[int(down * 3)], ("left", "", "right")[int(across * 3)])
    return " ".join(word for word in words if word) or "center"


def _background(scene: Scene, rng: random.Random) -> _Asked:
    if rng.random() < 0.7:
        return _Asked("background", scene.background, {})
    background = rng.choice((scene.background, rng.choice(list(BACKGROUNDS))))
    return _Asked("is background", _yes(background == scene.background), {"background": background})


def _reading(scene: Scene, rng: random.Random) -> _Asked | None:
    if rng.random() < 0.25:
        return _Asked("is text", _yes(scene.sign is not None), {})
    if scene.sign is None and rng.random() < 0.7:
        return None
    return _Asked("reading", scene.sign.text if scene.sign else "nothing", {})


ASKERS: Mapping[str, _Asker] = {
    "color": _color,
    "shape": _shape,
    "count": _count,
    "presence": _presence,
    "relation": _relation,
    "neighbour": _neighbour,
    "size": _size,
    "place": _place,
    "background": _background,
    "reading": _reading,
}
KINDS = tuple(ASKERS)
