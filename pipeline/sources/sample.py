"""A sample: some rows of an input by lot, each as likely as any other, in one pass and without keeping the rest."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.sources.rows import BadRow, Row


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """Rows in the order of their input, and how many there were in all."""

    rows: tuple[Row, ...]
    seen: int
    unfit: int
    """rows that nobody can ask about"""


def sample(rows: Iterable[Row | BadRow], size: int, seed: int) -> Sample:
    """The same rows for the same input and seed (Vitter's algorithm R)."""
    kept: list[tuple[int, Row]] = []
    lot, seen, unfit = random.Random(seed), 0, 0
    for row in rows:
        if isinstance(row, BadRow):
            unfit += 1
            continue
        place = lot.randrange(seen + 1)
        if seen < size:
            kept.append((seen, row))
        elif place < size:
            kept[place] = (seen, row)
        seen += 1
    return Sample(rows=tuple(row for _, row in sorted(kept, key=lambda one: one[0])), seen=seen, unfit=unfit)
