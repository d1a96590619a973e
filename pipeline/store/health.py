"""Health: whether the workers of one place get on with what there is to do.

Asked twice a minute by each container, so nothing here passes over what was done long ago: a worker's row, the jobs
it holds, the newest answers, and, only where it has long been idle, the first jobs that wait.
"""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from pipeline.jobs import LANES, Lane, State
from pipeline.owner import Owner
from pipeline.store.leases import leased
from pipeline.store.moves import IS_DUE
from pipeline.store.rows import HealthRow, WorkerRow
from pipeline.store.wanted import IS_LIVE
from pipeline.tables import answers, batch_items, batches, jobs, workers

SAMPLE = 2_000
"""so many of the newest answers are looked through for a worker's last one"""
DEEPEST = 20_000
"""of a batch no more of what is open is looked through for a job that waits"""

# Spelled out, not bound: only so does the partial index apply.
_RUNNING = jobs.c.state == sa.literal_column(f"'{State.RUNNING}'")
_HELD = sa.select(sa.func.count(), sa.func.max(jobs.c.updated)).where(
    jobs.c.worker_id == sa.bindparam("worker"), _RUNNING
)
_NEWEST = sa.select(answers.c.worker_id, answers.c.created).order_by(answers.c.id.desc()).limit(SAMPLE).subquery()
_ANSWERED = sa.select(sa.func.max(_NEWEST.c.created)).where(_NEWEST.c.worker_id == sa.bindparam("worker"))

_LIVE = sa.select(batches.c.id).where(IS_LIVE)
_OPEN = (
    sa.select(batch_items.c.job_id)
    .where(batch_items.c.batch_id == sa.bindparam("batch"), batch_items.c.ended.is_(None))
    .order_by(batch_items.c.ended, batch_items.c.row_no, batch_items.c.ask_no)
    .limit(DEEPEST)
)
_WAITS = (
    sa.select(jobs.c.id)
    .where(jobs.c.id.in_(_OPEN), jobs.c.state == State.QUEUED, IS_DUE, jobs.c.queued <= sa.bindparam("since"))
    .where(jobs.c.model == sa.bindparam("model"), jobs.c.lane.in_(sa.bindparam("lanes", expanding=True)))
    .limit(1)
)


def health(
    connection: sa.Connection, me: Owner, now: float, *, within_s: float, lanes: Collection[Lane]
) -> tuple[HealthRow, ...]:
    """The workers of this process's boot and pid namespace: of this container, or of this machine outside any."""
    here = (workers.c.boot_id == me.boot_id, workers.c.pid_namespace == me.pid_namespace)
    return tuple(_row(connection, worker, now, within_s, lanes) for worker in leased(connection, now, *here))


def _row(
    connection: sa.Connection, worker: WorkerRow, now: float, within_s: float, lanes: Collection[Lane]
) -> HealthRow:
    held, claimed = connection.execute(_HELD, {"worker": worker.id}).one()
    answered = connection.execute(_ANSWERED, {"worker": worker.id}).scalar_one()
    quiet_s = now - max(worker.started, claimed or 0, answered or 0)
    idle = not held and quiet_s > within_s
    return HealthRow(
        worker=worker,
        held=held,
        quiet_s=quiet_s,
        work_waits=idle and _work_waits(connection, worker, now, now - within_s, lanes),
    )


def _work_waits(
    connection: sa.Connection, worker: WorkerRow, now: float, since: float, lanes: Collection[Lane]
) -> bool:
    """Whether a job that this worker could take has been waiting since then."""
    given = {"model": worker.model, "lanes": [LANES[lane] for lane in lanes], "since": since, "now": now}
    for batch in connection.execute(_LIVE, {"now": now}).scalars().all():
        if connection.execute(_WAITS, {**given, "batch": batch}).first():
            return True
    return False
