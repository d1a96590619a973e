"""Leases: a worker holds jobs while it renews its row; the jobs of a dead one are taken back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from pipeline.jobs import State
from pipeline.owner import Owner
from pipeline.store.dialects import IDS, any_of, insert, locked
from pipeline.store.moves import put_back
from pipeline.store.rows import WorkerRow, WorkerState
from pipeline.store.values import Lease
from pipeline.store.wanted import IS_UNFINISHED, wanted_by
from pipeline.tables import jobs, workers

# Spelled out, not bound: only so does the partial index apply.
_RUNNING = jobs.c.state == sa.literal_column(f"'{State.RUNNING}'")
_IS_LEASED = workers.c.lease_until.is_not(None)
_HELD = sa.select(jobs.c.id).where(any_of(jobs.c.worker_id, IDS), _RUNNING)
_UNWANTED = _HELD.where(~wanted_by(IS_UNFINISHED))


@dataclass(frozen=True, kw_only=True, slots=True)
class Post:
    """What a worker does: one model on one device."""

    model: str
    device: str
    build: int | None


def join(connection: sa.Connection, owner: Owner, post: Post, lease_s: float, now: float) -> int:
    """The worker's row, made or taken up again. It holds a lease from now on."""
    values = {
        "model": post.model,
        "device": post.device,
        "build_id": post.build,
        "status": None,
        "draining": False,
        "started": now,
        "lease_until": now + lease_s,
    }
    made = insert(connection, workers).values(owner=str(owner), **asdict(owner), **values)
    upserted = made.on_conflict_do_update(index_elements=["owner"], set_=values).returning(workers.c.id)
    return int(connection.execute(upserted).scalar_one())


def renew(
    connection: sa.Connection, worker: int, lease_s: float, status: Mapping[str, Any] | None, now: float
) -> Lease:
    """The lease runs on, unless it was taken back meanwhile: then the worker's jobs are others' by now."""
    values: dict[str, Any] = {"lease_until": now + lease_s}
    if status is not None:
        values["status"] = dict(status)
    renewed = workers.update().where(workers.c.id == worker, _IS_LEASED).values(values)
    draining = connection.execute(renewed.returning(workers.c.draining)).scalar_one_or_none()
    if draining is None:
        return Lease.LOST
    return Lease.DRAINING if draining else Lease.HELD


def drain(connection: sa.Connection, worker: int) -> bool:
    """Ask a worker to take nothing new and to end. False when it has ended, or was asked already."""
    asked = workers.update().where(workers.c.id == worker, _IS_LEASED, ~workers.c.draining)
    return connection.execute(asked.values(draining=True)).rowcount == 1


def leave(connection: sa.Connection, worker: int, now: float) -> None:
    """The worker ends in order: what it still holds waits again, and nothing is counted."""
    _take_back(connection, [worker], now)


def disown(connection: sa.Connection, worker: int, known: Collection[int], now: float) -> int:
    """Jobs that a worker holds by the table and does not know of wait again: it never heard what its claim did."""
    mine = connection.execute(locked(_HELD), {"ids": [worker]}).scalars()
    return len(put_back(connection, [id for id in mine if id not in known], now))


def reap(connection: sa.Connection, me: Owner, now: float) -> int:
    """Take back the jobs of workers whose lease is over, and of those that `me` can prove dead."""
    query = sa.select(workers).where(workers.c.lease_until.is_not(None), workers.c.owner != str(me))
    found = connection.execute(query.order_by(workers.c.id).with_for_update(key_share=True)).all()
    dead = [row.id for row in found if row.lease_until <= now or _owner(row).gone_for(me)]
    return _take_back(connection, dead, now)


def unwanted(connection: sa.Connection, worker: int, now: float) -> list[int]:
    """The jobs a worker runs although no unfinished batch wants them any more."""
    return list(connection.execute(_UNWANTED, {"ids": [worker], "now": now}).scalars())


def leased(connection: sa.Connection, now: float, *asked: sa.ColumnElement[bool]) -> tuple[WorkerRow, ...]:
    """The workers that have not ended, as far as is known."""
    query = sa.select(workers).where(_IS_LEASED, *asked).order_by(workers.c.id)
    return tuple(_row(row, now) for row in connection.execute(query))


def _row(row: sa.Row[Any], now: float) -> WorkerRow:
    alive = WorkerState.DRAINING if row.draining else WorkerState.WORKING
    return WorkerRow(
        id=row.id,
        owner=row.owner,
        host=row.host,
        pid=row.pid,
        model=row.model,
        device=row.device,
        state=alive if row.lease_until > now else WorkerState.LEASE_OVER,
        status=row.status,
        started=row.started,
        lease_until=row.lease_until,
    )


def _take_back(connection: sa.Connection, ids: list[int], now: float) -> int:
    if not ids:
        return 0
    connection.execute(workers.update().where(workers.c.id.in_(ids)).values(lease_until=None))
    return len(put_back(connection, list(connection.execute(locked(_HELD), {"ids": ids}).scalars()), now))


def _owner(row: sa.Row[Any]) -> Owner:
    return Owner(
        host=row.host,
        boot_id=row.boot_id,
        pid_namespace=row.pid_namespace,
        pid=row.pid,
        pid_started=row.pid_started,
    )
