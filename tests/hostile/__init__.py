"""A corpus of hostile files: drawn from seeds, so that two runs see the same bytes; each one knows why it is there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cache

from tests.hostile import bombs, chunks, damage, directories, metadata, places, polyglots, sizes
from tests.hostile.specimen import Specimen, Specimens

ROOMS: tuple[Callable[[], Specimens], ...] = (
    damage.truncated,
    damage.closed,
    damage.flipped,
    damage.mistaken,
    sizes.declared,
    sizes.long_lines,
    directories.cycles,
    directories.counts,
    directories.strips,
    chunks.broken,
    metadata.garbage,
    metadata.segments,
    metadata.texts,
    bombs.bombs,
    bombs.animations,
    polyglots.polyglots,
    places.names,
    places.places,
)


@cache
def rooms() -> list[list[Specimen]]:
    """All of them, by what is wrong with them; nothing is written before `Specimen.write`."""
    return [list(room()) for room in ROOMS]


def corpus() -> list[Specimen]:
    return [specimen for room in rooms() for specimen in room]


def sample(count: int) -> list[Specimen]:
    """So many of them, as many of each room as of the others, spread evenly over each."""
    chosen: list[Specimen] = []
    for left, room in zip(range(len(ROOMS), 0, -1), sorted(rooms(), key=len), strict=True):
        share = min(len(room), (count - len(chosen)) // left)
        chosen += (room[place * len(room) // share] for place in range(share))
    return chosen


def by_kind(specimens: Iterable[Specimen]) -> dict[str, int]:
    """How many there are of each kind."""
    counts: dict[str, int] = defaultdict(int)
    for specimen in specimens:
        counts[specimen.kind] += 1
    return dict(counts)
