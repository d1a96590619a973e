"""The moves of jobs between states that several verbs share."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from pipeline.errors import Cancelled, DeadlinePassed, Ended
from pipeline.jobs import BatchState, State
from pipeline.store.dialects import IDS, NOW, any_of, locked
from pipeline.store.wanted import IS_LATE, IS_UNFINISHED, LIVE_LANE, Condition, wanted_by
from pipeline.tables import batch_items, batches, jobs

Held = Iterable[tuple[int, int]]
Values = Mapping[str, Any]

THESE: Condition = any_of(jobs.c.id, IDS)
"""the jobs that a statement is given"""
IS_DUE: Condition = sa.or_(jobs.c.run_after.is_(None), jobs.c.run_after <= NOW)
"""the job's back-off has passed"""
_THEIR_ITEMS: Condition = any_of(batch_items.c.job_id, IDS)

QUEUED: Values = {"state": State.QUEUED, "worker_id": None, "ticketed_at": None}
AS_NEW: Values = {**QUEUED, "attempts": 0, "crashes": 0, "run_after": None, "error_code": None, "error": None}
ENDED: Values = {"worker_id": None, "ticketed_at": None, "run_after": None, "fresh": False}

_HELD = locked(sa.select(jobs.c.id, jobs.c.claim_token, jobs.c.attempts).where(THESE, jobs.c.state == State.RUNNING))
_CLOSE = batch_items.update().where(_THEIR_ITEMS).values(ended=NOW)
_OPEN = batch_items.update().where(_THEIR_ITEMS).values(ended=None)

# A deadline ended the job rather than a person when one of its batches expired, or is about to.
_BY_DEADLINE = wanted_by(sa.or_(batches.c.state == BatchState.EXPIRED, IS_LATE))
_UNWANTED = sa.select(jobs.c.id, _BY_DEADLINE.label("late")).where(
    jobs.c.state == State.QUEUED, ~wanted_by(IS_UNFINISHED)
)
_FOLLOW = jobs.update().where(jobs.c.state == State.QUEUED, jobs.c.lane != LIVE_LANE).values(lane=LIVE_LANE)


def held(connection: sa.Connection, pairs: Held) -> dict[int, sa.Row[int, int, int]]:
    """Those of the (job, token) pairs that are still held: running, under this very token. Their rows are locked."""
    pairs = set(pairs)
    if not pairs:
        return {}
    found = connection.execute(_HELD, {"ids": {id for id, _ in pairs}})
    return {row.id: row for row in found if (row.id, row.claim_token) in pairs}


def move(connection: sa.Connection, ids: Collection[int], now: float, values: Values) -> None:
    """Set the columns of these jobs, which the caller has made sure of."""
    connection.execute(jobs.update().where(THESE).values(updated=NOW, **values), {"ids": ids, "now": now})


def close_items(connection: sa.Connection, ids: Collection[int], now: float) -> None:
    """The batches need not wait for these jobs any longer."""
    connection.execute(_CLOSE, {"ids": ids, "now": now})


def open_items(connection: sa.Connection, ids: Collection[int]) -> None:
    """The batches wait for these jobs again."""
    connection.execute(_OPEN, {"ids": ids})


def restart(connection: sa.Connection, ids: list[int], now: float, *, fresh: bool) -> None:
    """These jobs, which have ended, are as good as new."""
    move(connection, ids, now, {**AS_NEW, "queued": now, "fresh": fresh})
    open_items(connection, ids)


def put_back(
    connection: sa.Connection, ids: Collection[int], now: float, values: Values | None = None
) -> dict[int, State]:
    """Running jobs wait again, or end when meanwhile nobody wants them any more. Returns where each went."""
    if not ids:
        return {}
    move(connection, ids, now, {**QUEUED, **(values or {})})
    ended = end_unwanted(connection, THESE, now, ids=ids)
    return {id: State.CANCELLED if id in ended else State.QUEUED for id in ids}


def end_unwanted(connection: sa.Connection, which: Condition, now: float, **given: object) -> set[int]:
    """Those of the queued jobs that no unfinished batch wants end."""
    found = connection.execute(locked(_UNWANTED.where(which)), {"now": now, **given}).all()
    _end(connection, [row.id for row in found if row.late], DeadlinePassed(), now)
    _end(connection, [row.id for row in found if not row.late], Cancelled(), now)
    return {row.id for row in found}


def _end(connection: sa.Connection, ids: list[int], why: Ended, now: float) -> None:
    if ids:
        move(connection, ids, now, {**ENDED, "state": State.CANCELLED, "error_code": why.code, "error": str(why)})
        close_items(connection, ids, now)


def set_lanes(connection: sa.Connection, which: Condition, now: float, **given: object) -> None:
    """The queued jobs' lanes follow their batches."""
    connection.execute(_FOLLOW.where(which), {"now": now, **given})
