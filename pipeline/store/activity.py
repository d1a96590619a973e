"""Activity: what goes on right now, counted without passing over what was done long ago.

With a million answers each of the counts below takes milliseconds to a tenth of a second, while joining
a large batch's items with their jobs takes the better part of one (SQLite 3.40, two cores).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from pipeline.jobs import LANES, BatchState, State
from pipeline.store.dialects import NOW
from pipeline.store.leases import leased
from pipeline.store.rows import ActiveBatch, Activity, QueueRow
from pipeline.store.wanted import IS_UNFINISHED, UNFINISHED
from pipeline.tables import answers, batch_items, batches, jobs

WINDOW_S = 60.0
"""rates are those of the last minute, and a batch is shown for so long after it was completed"""
SAMPLE = 2_000
"""so many of the newest answers tell the rates"""
DEEPEST = 20_000
"""of a batch no more queued jobs are told apart by model and lane"""

LANE_NAMES = {number: str(lane) for lane, number in LANES.items()}

_ACTIVE = sa.select(batches).where(
    sa.or_(
        batches.c.state.in_(UNFINISHED),
        sa.and_(batches.c.state == BatchState.COMPLETED, batches.c.finished > NOW - WINDOW_S),
    )
)
_OF_BATCH = batch_items.c.batch_id == sa.bindparam("batch")
_COUNT = sa.select(sa.func.count())
_TOTAL = _COUNT.select_from(batch_items).where(_OF_BATCH)
_OPEN = _TOTAL.where(batch_items.c.ended.is_(None))
_INVALID = _TOTAL.where(batch_items.c.job_id.is_(None))
# Both as IN: joined, SQLite without statistics would go through all items. What has failed is counted once
# for all batches, and its state is spelled out: only so does the index of failed jobs apply.
_BY_BATCH = sa.select(batch_items.c.batch_id, sa.func.count()).group_by(batch_items.c.batch_id)
_FAILED = _BY_BATCH.where(
    batch_items.c.job_id.in_(sa.select(jobs.c.id).where(jobs.c.state == sa.literal_column(f"'{State.FAILED}'")))
)
_SAMPLED = sa.select(answers.c.job_id, answers.c.created).order_by(answers.c.id.desc()).limit(SAMPLE).subquery()
_RECENT = _BY_BATCH.where(
    batch_items.c.job_id.in_(sa.select(_SAMPLED.c.job_id).where(_SAMPLED.c.created > NOW - WINDOW_S))
)
_SPAN = sa.select(sa.func.count(), sa.func.min(_SAMPLED.c.created))

_first = sa.select(batch_items.c.job_id).where(_OF_BATCH, batch_items.c.ended.is_(None))
_first = _first.order_by(batch_items.c.ended, batch_items.c.row_no, batch_items.c.ask_no).limit(DEEPEST)
_older = batch_items.alias()
_COUNTED_BEFORE = (
    sa.exists()
    .where(_older.c.job_id == jobs.c.id, _older.c.batch_id < sa.bindparam("batch"))
    .where(batches.c.id == _older.c.batch_id, IS_UNFINISHED)
    .correlate(jobs)
)
_QUEUED = (
    sa.select(jobs.c.model, jobs.c.lane, sa.func.count().label("queued"))
    .where(jobs.c.id.in_(_first), jobs.c.state == State.QUEUED, ~_COUNTED_BEFORE)
    .group_by(jobs.c.model, jobs.c.lane)
)


def activity(connection: sa.Connection, now: float) -> Activity:
    """The batches that are worked on, what waits in which queue, and who works."""
    found = connection.execute(_ACTIVE.order_by(batches.c.id), {"now": now}).all()
    rates = _rates(connection, found, now)
    failed = _tallied(connection, _FAILED) if found else {}
    shown = {row.id: _batch(connection, row, failed.get(row.id, 0), rates.get(row.id)) for row in found}
    return Activity(
        at=now,
        batches=tuple(shown.values()),
        queues=_queues(connection, shown, now),
        workers=leased(connection, now),
    )


def _batch(connection: sa.Connection, row: sa.Row[Any], failed: int, rate: float | None) -> ActiveBatch:
    given = {"batch": row.id}
    total = connection.execute(_TOTAL, given).scalar_one()
    open_ = connection.execute(_OPEN, given).scalar_one()
    failed += connection.execute(_INVALID, given).scalar_one()
    return ActiveBatch(
        name=row.name,
        state=BatchState(row.state),
        lane=LANE_NAMES[row.lane],
        deadline=row.deadline,
        total=total,
        # A batch that goes on, or went on to its end, has no cancelled items: it wants them.
        done=total - open_ - failed,
        failed=failed,
        open=open_,
        rate=rate,
        left_s=open_ / rate if rate and open_ else None,
    )


def _rates(connection: sa.Connection, found: Sequence[sa.Row[Any]], now: float) -> dict[int, float]:
    """Answers a second of each batch over the last minute, or over the sample where that is shorter."""
    if not found:
        return {}
    count, oldest = connection.execute(_SPAN).one()
    window = min(WINDOW_S, now - oldest) if count == SAMPLE else WINDOW_S
    recent = _tallied(connection, _RECENT, now=now)
    spans = {row.id: max(min(window, now - row.created), 1.0) for row in found}
    return {id: recent[id] / span for id, span in spans.items() if id in recent}


def _tallied(connection: sa.Connection, query: sa.Executable, **given: object) -> dict[int, int]:
    return {row[0]: row[1] for row in connection.execute(query, given)}


def _queues(connection: sa.Connection, shown: Mapping[int, ActiveBatch], now: float) -> tuple[QueueRow, ...]:
    """What waits, by model and lane, high lanes first. A job of several batches counts once."""
    queued: Counter[tuple[int, str]] = Counter()
    deeper: defaultdict[tuple[int, str], bool] = defaultdict(bool)
    for id, batch in shown.items():
        for row in connection.execute(_QUEUED, {"batch": id, "now": now}) if batch.open else ():
            queued[row.lane, row.model] += row.queued
            deeper[row.lane, row.model] |= batch.open > DEEPEST
    order = sorted(queued, key=lambda place: (place[1], -place[0]))
    return tuple(
        QueueRow(model=model, lane=LANE_NAMES[lane], queued=queued[lane, model], at_least=deeper[lane, model])
        for lane, model in order
    )
