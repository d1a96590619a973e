"""Requeueing: jobs that have ended wait again, and a batch is there to want them."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from pipeline.jobs import BatchState, State
from pipeline.store import followups
from pipeline.store.batches import revive
from pipeline.store.dialects import IDS, NOW, any_of, locked
from pipeline.store.moves import THESE, restart, set_lanes
from pipeline.store.wanted import IS_UNFINISHED
from pipeline.tables import batch_items, batches, jobs

_HAVE_ENDED = (State.DONE, State.FAILED, State.CANCELLED)

_MINE = any_of(batch_items.c.job_id, IDS)
_COMPLETED = sa.and_(
    batches.c.id.in_(sa.select(batch_items.c.batch_id).where(_MINE)), batches.c.state == BatchState.COMPLETED
)
_others = batch_items.alias()
_WANTED = (
    sa.exists()
    .where(_others.c.job_id == batch_items.c.job_id, batches.c.id == _others.c.batch_id, IS_UNFINISHED)
    .correlate(batch_items)
)
# A batch may have lost the item since: other questions under its name, or an answer that leads elsewhere now.
_IS_LISTED = sa.exists().where(batch_items.c.job_id == jobs.c.id)
_NEWEST = sa.select(sa.func.max(batch_items.c.batch_id)).where(_MINE, ~_WANTED).group_by(batch_items.c.job_id)
"""of the batches of each job that no unfinished batch wants"""


def requeue(connection: sa.Connection, ids: Iterable[int], now: float, *, fresh: bool, batch: int | None) -> int:
    """Jobs that ended run again, for `batch`, which lives again if it had ended, or for those that wanted them."""
    ended = locked(sa.select(jobs.c.id).where(THESE, jobs.c.state.in_(_HAVE_ENDED), _IS_LISTED))
    found = list(connection.execute(ended, {"ids": list(ids)}).scalars())
    if found:
        changed = followups.changed(connection, found)
        if batch is not None:
            _bring_back(connection, batch, now)
        restart(connection, found, now, fresh=fresh)
        _revive_batches(connection, found, now)
        set_lanes(connection, THESE, now, ids=found)
        followups.follow(connection, changed, now)
    return len(found)


def _bring_back(connection: sa.Connection, batch: int, now: float) -> None:
    """A batch that had ended lives again, for as long as its deadline allows; one that has passed is forgotten."""
    ended = sa.and_(batches.c.id == batch, ~IS_UNFINISHED)
    deadline = sa.case((batches.c.deadline > NOW, batches.c.deadline))
    revive(connection, ended, BatchState.IN_PROGRESS, {"now": now}, deadline=deadline)


def _revive_batches(connection: sa.Connection, ids: list[int], now: float) -> None:
    """Completed batches go on with their jobs. A job without an unfinished batch gets its newest one back."""
    given = {"ids": ids, "now": now}
    revive(connection, _COMPLETED, BatchState.IN_PROGRESS, given)
    revive(connection, batches.c.id.in_(_NEWEST), BatchState.IN_PROGRESS, given, deadline=None)
