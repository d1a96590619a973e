"""Following a batch: what of it has ended since one looked last, without passing over all of it again.

Neither a time nor an answer's number would do as a mark: transactions of several workers come to be seen in another
order than they began, and a batch begins with items that ended long ago. So the mark is a place in the batch, with
those places before it that were still open. Jobs go out in the order of their batch, so these stay few.

What comes to a batch before the mark later, as follow-up questions do, is not seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from pipeline.tables import batch_items

Place = tuple[int, int]
"""row and ask"""

PAGE = 500
MOST_OPEN = 2_000
"""With so many open items before the mark it waits for some of them to end: each look reads them all."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a batch was looked at."""

    place: Place = (-1, 0)
    open: frozenset[Place] = frozenset()
    """the places up to there that had not ended"""


_AT = (batch_items.c.row_no, batch_items.c.ask_no)
_OF_BATCH = batch_items.c.batch_id == sa.bindparam("batch")
_MARK = sa.tuple_(sa.bindparam("row", type_=sa.BigInteger), sa.bindparam("ask", type_=sa.SmallInteger))
_BEYOND = sa.tuple_(*_AT) > _MARK
_WITHIN = sa.tuple_(*_AT) <= _MARK
_STILL_OPEN = sa.select(*_AT).where(_OF_BATCH, batch_items.c.ended.is_(None), _WITHIN)
_STILL_OPEN = _STILL_OPEN.order_by(batch_items.c.ended, *_AT)
_NEXT = sa.select(*_AT, batch_items.c.ended).where(_OF_BATCH, _BEYOND, batch_items.c.row_no < sa.bindparam("end"))
_NEXT = _NEXT.order_by(*_AT).limit(PAGE)
_NO_END = 2**62


def ended(connection: sa.Connection, batch_id: int, mark: Mark, end: int | None) -> tuple[list[Place], Mark]:
    """Places that have ended since the mark was set, a page's worth, and the mark to look from next time.

    Rows from `end` on are not looked at.
    """
    still = _still_open(connection, batch_id, mark)
    closed = sorted(mark.open - still)[:PAGE]
    waiting = mark.open.difference(closed)
    if len(waiting) >= MOST_OPEN:
        return closed, Mark(mark.place, waiting)
    found = _next(connection, batch_id, mark.place, end)
    closed += (place for place, has_ended in found if has_ended)
    waiting |= {place for place, has_ended in found if not has_ended}
    return closed, Mark(found[-1][0] if found else mark.place, waiting)


def with_open(mark: Mark, places: Iterable[Place]) -> Mark:
    """The mark, with places that are to be looked at again."""
    return Mark(mark.place, mark.open.union(places))


def _still_open(connection: sa.Connection, batch_id: int, mark: Mark) -> set[Place]:
    if not mark.open:
        return set()
    row, ask = mark.place
    return {(row, ask) for row, ask in connection.execute(_STILL_OPEN, {"batch": batch_id, "row": row, "ask": ask})}


def _next(connection: sa.Connection, batch_id: int, place: Place, end: int | None) -> list[tuple[Place, bool]]:
    """The places that follow, and whether they have ended."""
    given = {"batch": batch_id, "row": place[0], "ask": place[1], "end": _NO_END if end is None else end}
    return [((row, ask), has_ended is not None) for row, ask, has_ended in connection.execute(_NEXT, given)]
