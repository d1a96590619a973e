"""Tickets: which queued jobs go out next. High lanes first, batches in turn, questions about one picture together."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import sqlalchemy as sa

from pipeline.jobs import State
from pipeline.store.dialects import IDS, NOW, any_of
from pipeline.store.moves import IS_DUE, THESE
from pipeline.store.wanted import IS_LIVE
from pipeline.tables import batch_items, batches, job_images, jobs

_BATCHES = (
    sa.select(batches.c.id, batches.c.lane)
    .where(IS_LIVE)
    .order_by(batches.c.lane.desc(), batches.c.served.nulls_first(), batches.c.id)
)
# The partial index of open items keeps the batch's order: what has ended is not passed over. PostgreSQL only
# sees that it need not sort when the order names all of the index's columns, also the one that is always NULL.
_READY = (
    sa.select(batch_items.c.job_id, job_images.c.locator)
    .join(jobs, jobs.c.id == batch_items.c.job_id)
    .join(job_images, sa.and_(job_images.c.job_id == jobs.c.id, job_images.c.position == 0))
    .where(batch_items.c.batch_id == sa.bindparam("batch"), batch_items.c.ended.is_(None))
    .where(jobs.c.state == State.QUEUED, jobs.c.model == sa.bindparam("model"), IS_DUE)
    .order_by(batch_items.c.ended, batch_items.c.row_no, batch_items.c.ask_no)
    .limit(sa.bindparam("room", type_=sa.Integer))
)
_NOT_TICKETED = _READY.where(jobs.c.ticketed_at.is_(None))
_STAMP = jobs.update().where(THESE).values(ticketed_at=NOW)
_STAMP_BATCHES = batches.update().where(any_of(batches.c.id, IDS)).values(served=NOW)


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What a queue asks for: `count` tickets of `size` jobs."""

    model: str
    size: int
    count: int
    batch: int | None = None
    again: bool = False


@dataclass(slots=True)
class Stock:
    """What one batch could hand out: ids, those of one picture in one group."""

    batch: int
    groups: deque[list[int]] = field(default_factory=deque)
    served: bool = False


def tickets(connection: sa.Connection, wish: Wish, now: float) -> list[list[int]]:
    """The next tickets. A ticket is of one lane; its jobs and batches are stamped."""
    dealt: list[list[int]] = []
    seen: set[int] = set()
    for _, lane in groupby(_batches(connection, wish, now), key=lambda row: row.lane):
        stocks = _stocks(connection, [row.id for row in lane], wish, seen, now)
        dealt += deal(stocks, size=wish.size, count=wish.count - len(dealt))
        if served := [stock.batch for stock in stocks if stock.served]:
            connection.execute(_STAMP_BATCHES, {"ids": served, "now": now})
        if len(dealt) == wish.count:
            break
    ids = [id for ids in dealt for id in ids]
    if ids:
        connection.execute(_STAMP, {"ids": ids, "now": now})
    return dealt


def deal(stocks: Iterable[Stock], *, size: int, count: int) -> list[list[int]]:
    """Tickets from each stock in turn. What is left of one goes out together with the next one's."""
    dealt: list[list[int]] = []
    ticket: list[int] = []
    turn = deque(stocks)
    while turn and len(dealt) < count:
        stock = turn.popleft()
        while stock.groups and len(ticket) + len(stock.groups[0]) <= size:
            ticket += stock.groups.popleft()
            stock.served = True
        if stock.groups:
            dealt.append(ticket)
            ticket = []
            turn.append(stock)
    if ticket and len(dealt) < count:
        dealt.append(ticket)
    return dealt


def _batches(connection: sa.Connection, wish: Wish, now: float) -> Sequence[sa.Row[int, int]]:
    """The live batches, the one that has waited longest for its turn first."""
    found = connection.execute(_BATCHES, {"now": now})
    return [row for row in found if wish.batch in (None, row.id)]


def _stocks(connection: sa.Connection, lane: Sequence[int], wish: Wish, seen: set[int], now: float) -> list[Stock]:
    """What the batches of a lane can hand out, no more of them than are needed."""
    room = wish.size * wish.count
    stocks = []
    for batch in lane:
        ready = [row for row in _ready(connection, batch, wish, now) if row.job_id not in seen]
        seen.update(row.job_id for row in ready)
        stocks.append(Stock(batch, deque(_by_picture(ready, wish.size))))
        room -= min(len(ready), wish.size)
        if room <= 0:
            break
    return stocks


def _ready(connection: sa.Connection, batch: int, wish: Wish, now: float) -> Iterable[sa.Row[int, str]]:
    """The batch's queued jobs in its own order. Only items that are still open are passed over."""
    given = {"batch": batch, "model": wish.model, "now": now, "room": wish.size * wish.count}
    return connection.execute(_READY if wish.again else _NOT_TICKETED, given)


def _by_picture(ready: Iterable[sa.Row[int, str]], size: int) -> Iterable[list[int]]:
    """Each picture's jobs, the pictures in order of appearance; no group is larger than a ticket."""
    pictures: dict[str, dict[int, None]] = {}
    for job, locator in ready:
        pictures.setdefault(locator, {})[job] = None
    for ids in map(list, pictures.values()):
        yield from (ids[start : start + size] for start in range(0, len(ids), size))
