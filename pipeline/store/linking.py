"""Linking: the jobs that items ask for, found by their keys, made where there are none, run again where they failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import TypeVar

import sqlalchemy as sa

from pipeline.jobs import State
from pipeline.store.dialects import by_digest
from pipeline.store.moves import THESE, restart
from pipeline.store.values import Added
from pipeline.tables import batches, jobs

Known = Mapping[bytes, tuple[int, str]]
"""key -> (id, state) of the jobs that exist"""

# The order of the columns in rows that go to the driver as they are.
JOB = ("id", "job_key", "prompt_id", "model", "device_class", "lane", "state", "created", "queued", "updated")
NO_CACHE = "no_cache"
"""the word for it in a batch's spec"""
_SPEC = sa.select(batches.c.spec).where(batches.c.id == sa.bindparam("batch"))
_RUN_AGAIN = (State.FAILED, State.CANCELLED)
T = TypeVar("T")


def known(connection: sa.Connection, keys: Iterable[bytes]) -> dict[bytes, tuple[int, str]]:
    """Those of the jobs that exist. They are locked: none of them ends while it is linked."""
    return look_up(connection, keys, lock=True)


def look_up(connection: sa.Connection, keys: Iterable[bytes], *, lock: bool = False) -> dict[bytes, tuple[int, str]]:
    """Those of the jobs that exist."""
    found = by_digest(connection, jobs, "job_key", ("id", "state"), set(keys), lock=lock)
    return {bytes(key): (id, state) for key, id, state in found}


def is_run_again(state: str, *, force: bool) -> bool:
    """Whether a job that is asked for once more runs once more."""
    return state in _RUN_AGAIN or (force and state == State.DONE)


def run_again(connection: sa.Connection, found: Iterable[tuple[int, str]], now: float, *, force: bool) -> set[int]:
    """What has to run again of these jobs waits again. Returns their ids."""
    found = list(found)
    if again := [id for id, state in found if is_run_again(state, force=force)]:
        restart(connection, again, now, fresh=force)
    if force and (waiting := [id for id, state in found if state == State.QUEUED]):
        connection.execute(jobs.update().where(THESE).values(fresh=True), {"ids": waiting})
    return set(again)


def heed_no_cache(connection: sa.Connection, batch: int, ids: Collection[int]) -> None:
    """Jobs that are asked now for a batch made with --no-cache look into no cache."""
    if ids and connection.execute(_SPEC, {"batch": batch}).scalar_one().get(NO_CACHE):
        connection.execute(jobs.update().where(THESE).values(fresh=True), {"ids": ids})


def count(linked: Iterable[T], new: set[T], again: set[T], done: set[T]) -> Added:
    """Of several items with one job the first counts as what became of the job, the others as links."""
    counts: Counter[str] = Counter()
    seen: set[T] = set()
    for job in linked:
        first = job not in seen
        seen.add(job)
        kind = "new" if first and job in new else "requeued" if first and job in again else "linked_pending"
        counts["linked_done" if job in done else kind] += 1
    return Added(**counts)
