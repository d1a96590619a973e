"""Who wants a job: the conditions "a live batch wants it" and "an unfinished batch wants it", in SQL."""

from __future__ import annotations

import sqlalchemy as sa

from pipeline.jobs import LIVE, BatchState
from pipeline.store.dialects import NOW
from pipeline.tables import batch_items, batches, jobs

Condition = sa.ColumnElement[bool]

UNFINISHED = (*LIVE, BatchState.PAUSED)
_IN_TIME = sa.or_(batches.c.deadline.is_(None), batches.c.deadline > NOW)
_IS_OPEN = sa.or_(batches.c.window.is_(None), sa.and_(batches.c.window_opens <= NOW, batches.c.window_closes > NOW))

IS_LIVE: Condition = sa.and_(batches.c.state.in_(LIVE), _IN_TIME, _IS_OPEN)
"""the batch may run: not paused, not ended, within its deadline and its window"""
IS_UNFINISHED: Condition = sa.and_(batches.c.state.in_(UNFINISHED), _IN_TIME)
"""the batch may still run, now or when it is resumed"""
IS_LATE: Condition = sa.and_(batches.c.state.in_(UNFINISHED), batches.c.deadline <= NOW)
"""the batch could still run, had its deadline not passed"""

_HOLDERS = (
    sa.select(batches.c.id)
    .join(batch_items, batch_items.c.batch_id == batches.c.id)
    .where(batch_items.c.job_id == jobs.c.id)
)


def wanted_by(batch: Condition) -> Condition:
    """Whether such a batch holds the job."""
    return sa.exists(_HOLDERS.where(batch)).correlate(jobs)


LIVE_LANE: sa.ColumnElement[int] = sa.func.coalesce(
    _HOLDERS.with_only_columns(sa.func.max(batches.c.lane)).where(IS_LIVE).correlate(jobs).scalar_subquery(),
    jobs.c.lane,
)
"""the highest lane of the live batches that want the job; the lane it has when there is none"""
