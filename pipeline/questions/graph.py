"""The graph of questions that depend on each other's answers, brought into an order in which they can be asked."""

from __future__ import annotations

from collections.abc import Collection, Mapping

SHOWN = 12
"""names of a circle"""


class Cycle(Exception):
    """Questions wait for each other; the message names them in a circle."""


def ordered(after: Mapping[str, Collection[str]]) -> list[str]:
    """Names such that each stands behind those it depends on, else in the order given. Raises Cycle."""
    placed: dict[str, None] = {}
    waiting = dict.fromkeys(after)
    while waiting:
        ready = next((name for name in waiting if all(other in placed for other in after[name])), None)
        if ready is None:
            raise Cycle(_circle(after, placed))
        placed[ready] = waiting.pop(ready)
    return list(placed)


def _circle(after: Mapping[str, Collection[str]], placed: Collection[str]) -> str:
    """Each question that cannot be placed waits for another such: following them must come round."""
    path = [next(name for name in after if name not in placed)]
    while path.count(path[-1]) == 1:
        path.append(next(other for other in after[path[-1]] if other not in placed))
    circle = path[path.index(path[-1]) :]
    return " -> ".join(circle if len(circle) <= SHOWN else [*circle[: SHOWN - 2], "...", circle[-1]])
