"""Batches: opened, sealed, paused, resumed, cancelled, and ended when nothing is left to wait for."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from pipeline.errors import BatchTaken, BatchUnknown
from pipeline.jobs import LANES, LIVE, BatchState, Lane, State
from pipeline.prompts import canonical
from pipeline.store.dialects import NOW, insert
from pipeline.store.moves import THESE, end_unwanted, set_lanes
from pipeline.store.values import Moved, OpenBatch
from pipeline.store.wanted import IS_LATE, IS_LIVE, IS_UNFINISHED, UNFINISHED, Condition, wanted_by
from pipeline.tables import batch_items, batches, jobs
from pipeline.windows import Window

_SHOWN = 200
"""characters of another command's spec in a message"""

MOVES: dict[BatchState, tuple[BatchState, ...]] = {
    BatchState.PAUSED: LIVE,
    BatchState.IN_PROGRESS: (BatchState.PAUSED,),
    BatchState.CANCELLED: UNFINISHED,
}
"""what a person may ask for -> from where"""

# Only columns of the index of open items: the whole row would be looked for among all that is done.
_WAITS = (
    sa.select(batch_items.c.job_id)
    .where(batch_items.c.batch_id == batches.c.id, batch_items.c.ended.is_(None))
    .correlate(batches)
    .exists()
)
_IS_COMPLETE = sa.and_(batches.c.state == BatchState.IN_PROGRESS, ~_WAITS)
_ENDING = sa.select(batches.c.id).where(sa.or_(_IS_COMPLETE, IS_LATE))
_ENDED = batches.update().values(finished=NOW).returning(batches.c.id)
_COMPLETE = _ENDED.where(_IS_COMPLETE).values(state=BatchState.COMPLETED)
_CLOSED = sa.select(batches.c.id, batches.c.window).where(
    batches.c.window_closes <= NOW, batches.c.state.in_(UNFINISHED)
)
_EXPIRE = _ENDED.where(IS_LATE).values(state=BatchState.EXPIRED)


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchTerms:
    """What a command asks, and how urgently."""

    origin: str
    spec: Mapping[str, Any]
    lane: Lane = Lane.NORMAL
    deadline: float | None = None
    window: str | None = None

    def columns(self, now: float) -> dict[str, Any]:
        opens, closes = Window.parse(self.window).around(now) if self.window else (None, None)
        span = {"window": self.window, "window_opens": opens, "window_closes": closes}
        return {"lane": LANES[self.lane], "deadline": self.deadline, **span}


def open_batch(connection: sa.Connection, name: str | None, terms: BatchTerms, now: float) -> OpenBatch:
    """A new batch, or the one of that name when the same command made it. Raises BatchTaken."""
    while True:
        wished = name if name is not None else _generated(terms.origin, now)
        made = connection.execute(
            insert(connection, batches)
            .values(name=wished, origin=terms.origin, spec=terms.spec, created=now)
            .values(state=BatchState.VALIDATING, **terms.columns(now))
            .on_conflict_do_nothing()
            .returning(batches.c.id)
        ).scalar_one_or_none()
        if made is not None:
            return OpenBatch(made, wished)
        if name is not None:
            return _reopen(connection, name, terms, now)


def _generated(origin: str, now: float) -> str:
    kind = origin.partition(":")[0]
    return f"{kind}-{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def _reopen(connection: sa.Connection, name: str, terms: BatchTerms, now: float) -> OpenBatch:
    known = connection.execute(sa.select(batches).where(batches.c.name == name).with_for_update()).one()
    if canonical(known.spec) != canonical(terms.spec):
        raise BatchTaken(name=name, spec=canonical(known.spec).decode("utf-8", "replace")[:_SHOWN])
    revive(connection, batches.c.id == known.id, BatchState.VALIDATING, **terms.columns(now))
    set_lanes(connection, _jobs_of(known.id), now)
    return OpenBatch(known.id, name)


def revive(
    connection: sa.Connection,
    which: Condition,
    state: BatchState,
    given: Mapping[str, Any] | None = None,
    **columns: Any,
) -> None:
    """Batches live again."""
    connection.execute(batches.update().where(which).values(state=state, finished=None, **columns), given)


def seal(connection: sa.Connection, batch_id: int, rows: int, now: float) -> None:
    """The submission is complete: rows beyond it are leftovers of an earlier one under the same name."""
    beyond = sa.and_(batch_items.c.batch_id == batch_id, batch_items.c.row_no >= rows)
    left = connection.execute(batch_items.delete().where(beyond).returning(batch_items.c.job_id)).scalars().all()
    submitted = sa.and_(batches.c.id == batch_id, batches.c.state == BatchState.VALIDATING)
    connection.execute(batches.update().where(submitted).values(state=BatchState.IN_PROGRESS))
    release(connection, [id for id in left if id is not None], now)
    # Cancelled while it was still being submitted: what came later ends as well. Asked first, since looking at each
    # job of a batch takes a million of them seconds, and memory.
    state = connection.execute(sa.select(batches.c.state).where(batches.c.id == batch_id)).scalar_one_or_none()
    if state not in UNFINISHED:
        end_unwanted(connection, _jobs_of(batch_id), now)


def release(connection: sa.Connection, ids: list[int], now: float) -> None:
    """These jobs lost an item: they end, or go on for other batches."""
    if ids:
        end_unwanted(connection, THESE, now, ids=ids)
        set_lanes(connection, THESE, now, ids=ids)


def set_state(connection: sa.Connection, batch_id: int, state: BatchState, now: float) -> Moved | None:
    """Pause, resume or cancel. None when the batch has ended or stands there already. Raises BatchUnknown."""
    finished = now if state is BatchState.CANCELLED else None
    may = sa.and_(batches.c.id == batch_id, batches.c.state.in_(MOVES[state]))
    if not connection.execute(batches.update().where(may).values(state=state, finished=finished)).rowcount:
        _make_sure(connection, batch_id)
        return None
    moved = _moved(connection, batch_id, IS_UNFINISHED if state is BatchState.CANCELLED else IS_LIVE, now)
    if state is BatchState.IN_PROGRESS:
        _forget_tickets(connection, batch_id)
    _follow(connection, batch_id, now)
    return moved


def turn_windows(connection: sa.Connection, now: float) -> None:
    """Where a window has closed, the next one is looked up. Between the two the batch is not live."""
    for row in connection.execute(_CLOSED, {"now": now}).all():
        opens, closes = Window.parse(row.window).around(now)
        span = batches.update().values(window_opens=opens, window_closes=closes)
        connection.execute(span.where(batches.c.id == row.id))
        _forget_tickets(connection, row.id)


def _moved(connection: sa.Connection, batch_id: int, goes_on: Condition, now: float) -> Moved:
    """What a batch waits for, and how much of that goes on for the sake of others."""
    mine = batch_items.c.batch_id == batch_id, batch_items.c.ended.is_(None)
    others = wanted_by(sa.and_(goes_on, batches.c.id != batch_id))
    count = sa.func.count()
    tallied = sa.select(
        count.filter(others).label("shared"), count.filter(jobs.c.state == State.RUNNING, ~others).label("running")
    ).where(_jobs_of(batch_id))
    items = connection.execute(sa.select(count).select_from(batch_items).where(*mine)).scalar_one()
    row = connection.execute(tallied, {"now": now}).one()
    return Moved(open=items, shared=row.shared, running=row.running)


def _forget_tickets(connection: sa.Connection, batch_id: int) -> None:
    """Tickets that reached a worker during the pause, or outside the window, claimed nothing: jobs need new ones.

    They would get them only once the queue is empty, which other batches may never let happen.
    """
    torn = sa.and_(_jobs_of(batch_id), jobs.c.state == State.QUEUED, jobs.c.ticketed_at.is_not(None))
    connection.execute(jobs.update().where(torn).values(ticketed_at=None))


def ending(connection: sa.Connection, now: float) -> list[int]:
    """The batches that have nothing left to wait for, or no time left."""
    return list(connection.execute(_ENDING, {"now": now}).scalars())


def settle(connection: sa.Connection, now: float) -> list[int]:
    """End the batches that are at their end, and with them the jobs that were waiting for their sake alone."""
    completed = connection.execute(_COMPLETE, {"now": now}).scalars().all()
    expired = connection.execute(_EXPIRE, {"now": now}).scalars().all()
    for batch_id in expired:
        _follow(connection, batch_id, now)
    return sorted([*completed, *expired])


def _follow(connection: sa.Connection, batch_id: int, now: float) -> None:
    """Jobs follow the batch's new state."""
    end_unwanted(connection, _jobs_of(batch_id), now)
    set_lanes(connection, _jobs_of(batch_id), now)


def _jobs_of(batch_id: int) -> Condition:
    """The jobs a batch still waits for."""
    items = sa.select(batch_items.c.job_id).where(batch_items.c.batch_id == batch_id, batch_items.c.ended.is_(None))
    return jobs.c.id.in_(items)


def _make_sure(connection: sa.Connection, batch_id: int) -> None:
    if connection.execute(sa.select(batches.c.id).where(batches.c.id == batch_id)).one_or_none() is None:
        raise BatchUnknown(name=batch_id)
