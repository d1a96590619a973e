"""What grows old, kind by kind: a kind is one line of `KINDS`, which says what would go and lets it go."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pipeline.display import number, size
from pipeline.housekeeping import files
from pipeline.housekeeping.place import Place

if TYPE_CHECKING:
    from pipeline.store import Store
    from pipeline.store.housekeeping import Housekeeping

TOLD_EVERY_S = 5.0
Step = tuple[int, int]
"""rows or files that went, and bytes"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Amount:
    """How much of a kind there is to remove."""

    what: str
    counts: Mapping[str, int]
    bytes: int | None = None
    """none for rows of the database"""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of what grows old."""

    help: str
    look: Callable[[Place], tuple[Mapping[str, int], int | None]]
    prune: Callable[[Place], Iterator[Step]]


def _rows(name: str, help: str) -> Kind:
    """A kind in the database."""
    return Kind(
        help,
        look=lambda place: (_tables(place).count(name, place.before), None),
        prune=lambda place: ((count, 0) for count in _tables(place).prune(name, place.before)),
    )


def _tables(place: Place) -> Housekeeping:
    return place.store.housekeeping


def _files(help: str, find: Callable[[Place], Iterator[files.Left]]) -> Kind:
    """A kind of files."""
    return Kind(help, look=partial(files.count, find), prune=partial(files.remove, find))


# In the order in which one sets free what the next looks at.
KINDS: dict[str, Kind] = {
    "batches": _rows("batches", "finished batches, with the jobs and answers only they list"),
    "jobs": _rows("jobs", "ended jobs that no batch lists any more, with their answers"),
    "answers": _rows("answers", "answers that a newer one of their job replaced"),
    "prompts": _rows("prompts", "prompts that no job asks any more"),
    "images": _rows("images", "what was read of pictures that no job names any more"),
    "workers": _rows("workers", "workers that ended and gave none of the answers"),
    "watched": Kind("records of watched files that are not there any more", files.count_watched, files.remove_watched),
    "firings": _rows("firings", "past firings of schedules"),
    "blobs": _files("pictures from inside of rows that no job names", files.blobs),
    "cache": _files("fetched pictures that nobody used since", files.fetched),
    "staging": _files("models that were never finished", files.staged),
}


def look(place: Place, names: tuple[str, ...]) -> Iterator[Amount]:
    """What would go, kind by kind."""
    for name in names:
        counts, size = KINDS[name].look(place)
        yield Amount(what=name, counts=counts, bytes=size)


def prune(place: Place, name: str, tell: Callable[[str], None]) -> Step:
    """Let a kind go. Returns how many rows or files went, and their bytes."""
    rows = freed = 0
    told = time.monotonic()
    for step in place.gently(KINDS[name].prune(place)):
        rows, freed = rows + step[0], freed + step[1]
        if time.monotonic() - told > TOLD_EVERY_S:
            told = time.monotonic()
            tell(f"{name}: {number(rows)} so far")
    return rows, freed


def shrink(store: Store) -> str:
    """Give the embedded database's free room back to the disk; a sentence that says how that went."""
    tables = store.housekeeping
    before = tables.room()
    if before is None or not before.free:
        return "The database has no room to give back."
    if not before.steps and store.views.workers():
        return f"{before.file} holds {size(before.free)} of free room: run this again when no worker is at work."
    if before.steps:
        for _ in Place.gently(tables.give_back()):
            pass
    else:
        tables.rewrite()
    after = tables.room()
    return f"{before.file}: {size(before.size)} before, {size(after.size if after else 0)} now."
