"""A scene in one sentence, or two if there is something to read."""

from __future__ import annotations

from workers.demo.world import Scene, Thing


def caption(scene: Scene) -> str:
    """What a perfect describer says: one text for a scene, so that it can be marked right or wrong."""
    sign = f" The sign says {scene.sign.text}." if scene.sign else ""
    return f"{_subject(scene).capitalize()} on a {scene.background} background.{sign}"


def _subject(scene: Scene) -> str:
    match scene.things:
        case (one, other):
            return _pair(scene, one, other)
        case things:
            from_left = [_full(thing) for thing in sorted(things, key=lambda thing: thing.x)]
            return " and ".join(part for part in (", ".join(from_left[:-1]), from_left[-1]) if part)


def _pair(scene: Scene, one: Thing, other: Thing) -> str:
    across, down = scene.offset(one, other)
    if abs(across) > abs(down):
        left, right = (one, other) if across < 0 else (other, one)
        return f"{_full(left)} to the left of {_full(right)}"
    upper, lower = (one, other) if down < 0 else (other, one)
    return f"{_full(upper)} above {_full(lower)}"


def _full(thing: Thing) -> str:
    return f"a {thing.size} {thing.name}"
