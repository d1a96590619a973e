"""Claims: queued jobs become a worker's, under a token that rises with each claim."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from threading import Lock
from typing import Any

import sqlalchemy as sa

from pipeline.jobs import LARGEST_ID, Claim, State
from pipeline.locators import Picture
from pipeline.prompts import Prompt
from pipeline.store.dialects import IDS, NOW, any_of
from pipeline.store.moves import IS_DUE, THESE
from pipeline.store.wanted import IS_LIVE, wanted_by
from pipeline.tables import answers, job_images, jobs, prompts, workers

# Locked against a reaper: a worker whose jobs are being taken back must not claim more.
_WORKER = (
    sa.select(workers.c.model, workers.c.device)
    .where(workers.c.id == sa.bindparam("worker"), workers.c.lease_until.is_not(None))
    .with_for_update(read=True)
)
_CLAIMABLE = (
    sa.select(jobs.c.id)
    .where(THESE, jobs.c.state == State.QUEUED, IS_DUE, wanted_by(IS_LIVE))
    .where(jobs.c.model == sa.bindparam("my_model"))
    .where(sa.or_(jobs.c.device_class.is_(None), jobs.c.device_class == sa.bindparam("my_class")))
    .with_for_update(of=jobs, key_share=True, skip_locked=True)
)
_CLAIM = (
    jobs.update()
    .where(jobs.c.id.in_(_CLAIMABLE))
    .values(state=State.RUNNING, worker_id=sa.bindparam("worker"), claim_token=jobs.c.claim_token + 1, updated=NOW)
    .returning(
        jobs.c.id,
        jobs.c.claim_token,
        jobs.c.prompt_id,
        jobs.c.model,
        jobs.c.device_class,
        jobs.c.attempts,
        jobs.c.crashes,
        jobs.c.error_code,
        jobs.c.fresh,
        jobs.c.queued,
    )
)
_PICTURES = (
    sa.select(job_images.c.job_id, job_images.c.locator, job_images.c.size, job_images.c.mtime_ns)
    .where(any_of(job_images.c.job_id, IDS))
    .order_by(job_images.c.job_id, job_images.c.position)
)
_PROMPTS = sa.select(prompts).where(any_of(prompts.c.id, IDS))


class Prompts:
    """Prompts by id, remembered: they never change, and most jobs share a few."""

    def __init__(self, size: int = 4096) -> None:
        self._size = size
        self._known: OrderedDict[int, Prompt] = OrderedDict()
        self._lock = Lock()

    def get(self, connection: sa.Connection, ids: Collection[int]) -> Mapping[int, Prompt]:
        wanted = set(ids)
        with self._lock:
            found = {id: self._known[id] for id in wanted if id in self._known}
        if missing := wanted - found.keys():
            rows = connection.execute(_PROMPTS, {"ids": missing})
            new = {row.id: Prompt.from_stored(row.messages, row.parameters, row.form) for row in rows}
            self._remember(new)
            found |= new
        return found

    def _remember(self, new: Mapping[int, Prompt]) -> None:
        with self._lock:
            self._known.update(new)
            while len(self._known) > self._size:
                self._known.popitem(last=False)


def claim(connection: sa.Connection, ids: Iterable[object], worker: int, known: Prompts, now: float) -> list[Claim]:
    """The jobs that are queued, due, the worker's kind and wanted by a live batch, in the order of the ids.

    Ids come from messages: unknown ones, doubles and nonsense claim nothing.
    """
    asked = list(dict.fromkeys(id for id in ids if type(id) is int and 0 < id <= LARGEST_ID))
    rows = _take(connection, asked, worker, now) if asked else {}
    pictures = _pictures(connection, rows)
    questions = known.get(connection, {row.prompt_id for row in rows.values()})
    return [
        Claim(
            id=row.id,
            token=row.claim_token,
            pictures=pictures[row.id],
            prompt=questions[row.prompt_id],
            model=row.model,
            device_class=row.device_class,
            attempts=row.attempts,
            failed_with=row.error_code,
            crashes=row.crashes,
            fresh=row.fresh,
            queued_s=max(0.0, now - row.queued),
        )
        for row in (rows[id] for id in asked if id in rows)
    ]


def cached(connection: sa.Connection, keys: Collection[bytes]) -> dict[bytes, int]:
    """The newest answer to each content that was asked before."""
    query = sa.select(answers.c.content_key, sa.func.max(answers.c.id)).where(answers.c.content_key.in_(keys))
    return {bytes(key): id for key, id in connection.execute(query.group_by(answers.c.content_key))}


def _take(connection: sa.Connection, ids: Sequence[int], worker: int, now: float) -> dict[int, sa.Row[Any]]:
    me = connection.execute(_WORKER, {"worker": worker}).one_or_none()
    if me is None:
        return {}
    kind = {"my_model": me.model, "my_class": (me.device or "").partition(".")[0]}
    rows = connection.execute(_CLAIM, {"ids": ids, "worker": worker, "now": now, **kind})
    return {row.id: row for row in rows}


def _pictures(connection: sa.Connection, ids: Collection[int]) -> dict[int, tuple[Picture, ...]]:
    if not ids:
        return {}
    found: defaultdict[int, list[Picture]] = defaultdict(list)
    for job, locator, size, mtime_ns in connection.execute(_PICTURES, {"ids": ids}):
        found[job].append(Picture(locator, size, mtime_ns))
    return {job: tuple(pictures) for job, pictures in found.items()}
