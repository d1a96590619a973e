"""Tickets: which queued jobs go out next. High lanes first, batches in turn, questions about one picture together."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import sqlalchemy as sa

from pipeline.jobs import LANES, Lane, State
from pipeline.store.dialects import IDS, NOW, any_of
from pipeline.store.moves import IS_DUE, THESE
from pipeline.store.values import Ticket
from pipeline.store.wanted import IS_LIVE
from pipeline.tables import batch_items, batches, job_images, jobs

LOST_AFTER_S = 600.0
"""A ticket whose jobs still wait after so long is sent again, though others stand in the queue: it may
have been lost with a killed worker or a flushed broker. If it was not, one of the two claims nothing."""

_LANES = {number: Lane(name) for name, number in LANES.items()}

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
_NOT_TICKETED = _READY.where(sa.or_(jobs.c.ticketed_at.is_(None), jobs.c.ticketed_at <= NOW - LOST_AFTER_S))
_STAMP = jobs.update().where(THESE).values(ticketed_at=NOW)
_STAMP_BATCHES = batches.update().where(any_of(batches.c.id, IDS)).values(served=NOW)


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What a queue asks for: tickets of `size` jobs, so many of each lane."""

    model: str
    size: int
    counts: Mapping[Lane, int]
    batch: int | None = None
    again: bool = False


@dataclass(slots=True)
class Stock:
    """What one batch could hand out: ids, those of one picture in one group."""

    batch: int
    groups: deque[list[int]] = field(default_factory=deque)
    served: bool = False


def tickets(connection: sa.Connection, wish: Wish, now: float) -> list[Ticket]:
    """The next tickets, the highest lane's first. A ticket is of one lane; its jobs and batches are stamped."""
    dealt: list[Ticket] = []
    seen: set[int] = set()
    for number, rows in groupby(_batches(connection, wish, now), key=lambda row: row.lane):
        lane = _LANES[number]
        if count := wish.counts.get(lane, 0):
            stocks = _stocks(connection, [row.id for row in rows], wish, count, seen, now)
            dealt += [Ticket(tuple(ids), lane) for ids in deal(stocks, size=wish.size, count=count)]
            if served := [stock.batch for stock in stocks if stock.served]:
                connection.execute(_STAMP_BATCHES, {"ids": served, "now": now})
    ids = [id for ticket in dealt for id in ticket.ids]
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


def _stocks(
    connection: sa.Connection, lane: Sequence[int], wish: Wish, count: int, seen: set[int], now: float
) -> list[Stock]:
    """What the batches of a lane can hand out, no more of them than are needed."""
    most = room = wish.size * count
    stocks = []
    for batch in lane:
        ready = [row for row in _ready(connection, batch, wish, most, now) if row.job_id not in seen]
        seen.update(row.job_id for row in ready)
        stocks.append(Stock(batch, deque(_by_picture(ready, wish.size))))
        room -= min(len(ready), wish.size)
        if room <= 0:
            break
    return stocks


def _ready(connection: sa.Connection, batch: int, wish: Wish, most: int, now: float) -> Iterable[sa.Row[int, str]]:
    """The batch's queued jobs in its own order. Only items that are still open are passed over."""
    given = {"batch": batch, "model": wish.model, "now": now, "room": most}
    return connection.execute(_READY if wish.again else _NOT_TICKETED, given)


def _by_picture(ready: Iterable[sa.Row[int, str]], size: int) -> Iterable[list[int]]:
    """Each picture's jobs, the pictures in order of appearance; no group is larger than a ticket."""
    pictures: dict[str, dict[int, None]] = {}
    for job, locator in ready:
        pictures.setdefault(locator, {})[job] = None
    for ids in map(list, pictures.values()):
        yield from (ids[start : start + size] for start in range(0, len(ids), size))
