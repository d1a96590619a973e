"""Pruning: what is old, and needed by nothing that lives or that a person looked at, goes a little at a time.

A kind is found without a lock and removed under one, where it is looked at once more; a program that is killed
between two steps leaves less, and nothing half-made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa

from pipeline.store import removal
from pipeline.store.dialects import IDS, any_of
from pipeline.store.firings import BUSY
from pipeline.store.wanted import UNFINISHED, Condition
from pipeline.store.watched import FileState
from pipeline.tables import (
    answers,
    batch_items,
    batches,
    firings,
    followups,
    images,
    job_images,
    jobs,
    prompts,
    watched_files,
    workers,
)

STEP = 500
"""rows a transaction: some ten milliseconds of them"""
_BEFORE = sa.bindparam("before", type_=sa.Double)
_AFTER = sa.bindparam("after", type_=sa.BigInteger)
_ITEMS = 1_000
_SETTLED = (FileState.DONE, FileState.FAILED, FileState.GONE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """What may go, in one table."""

    count: Callable[[sa.Connection, float], dict[str, int]]
    """what would go since before that time, by what it is called"""
    find: Callable[[sa.Connection, float, Any], Sequence[Any]]
    """some of it, by its key, beyond the key that was found last (at first 0)"""
    remove: Callable[[sa.Connection, float, Sequence[Any]], int]
    """these, as far as they may still go; how many that were"""


# --- rows by themselves --------------------------------------------------------------------------


def _rows(
    called: str, table: sa.Table, may_go: Condition, remove: Callable[[sa.Connection, Sequence[int]], Any]
) -> Kind:
    """A kind whose rows go one by one."""
    counted = sa.select(sa.func.count()).select_from(table).where(may_go)
    found = sa.select(table.c.id).where(may_go, table.c.id > _AFTER).order_by(table.c.id).limit(STEP)
    still = sa.select(table.c.id).where(may_go, any_of(table.c.id, IDS))

    def step(connection: sa.Connection, before: float, ids: Sequence[int]) -> int:
        going = connection.execute(still, {"before": before, "ids": ids}).scalars().all()
        if going:
            remove(connection, going)
        return len(going)

    return Kind(
        count=lambda connection, before: {called: connection.execute(counted, {"before": before}).scalar_one()},
        find=lambda connection, before, after: (
            connection.execute(found, {"before": before, "after": after}).scalars().all()
        ),
        remove=step,
    )


def _delete(table: sa.Table, connection: sa.Connection, ids: Sequence[int]) -> None:
    connection.execute(table.delete().where(any_of(table.c.id, IDS)), {"ids": ids})


_newer, _copy, _later = answers.alias(), answers.alias(), firings.alias()
_SUPERSEDED = sa.and_(
    sa.exists().where(
        _newer.c.job_id == answers.c.job_id,
        _newer.c.claim_token > answers.c.claim_token,
        _newer.c.created < _BEFORE,
    ),
    ~sa.exists().where(removal.IS_REVIEWED),
    ~sa.exists().where(_copy.c.cached_from == answers.c.id),
)
_UNLISTED = sa.and_(removal.IS_UNLISTED, jobs.c.updated < _BEFORE)
_UNUSED = sa.and_(removal.IS_UNUSED, prompts.c.created < _BEFORE)
_GONE = sa.and_(
    workers.c.lease_until.is_(None),
    workers.c.started < _BEFORE,
    ~sa.exists().where(answers.c.worker_id == workers.c.id),
    ~sa.exists().where(jobs.c.worker_id == workers.c.id),
)
# The newest firing of a schedule tells how it last went, and the newest that found something that none is too few.
_IS_LATER = sa.and_(_later.c.schedule_id == firings.c.schedule_id, _later.c.due > firings.c.due)
_FIRED = sa.and_(
    firings.c.due < _BEFORE,
    firings.c.outcome.not_in(BUSY),
    sa.exists().where(_IS_LATER),
    sa.or_(sa.func.coalesce(firings.c.found, 0) == 0, sa.exists().where(_IS_LATER, _later.c.found > 0)),
)

# --- batches -------------------------------------------------------------------------------------

_HAS_ENDED = batches.c.state.not_in(UNFINISHED)
_OLD = sa.and_(_HAS_ENDED, batches.c.finished < _BEFORE)
_THESE = any_of(batches.c.id, IDS)
_IN = any_of(batch_items.c.batch_id, IDS)
_other = batch_items.alias()
_ELSEWHERE = sa.exists().where(_other.c.job_id == batch_items.c.job_id, ~any_of(_other.c.batch_id, IDS))
_REVIEWED = sa.exists().where(answers.c.job_id == batch_items.c.job_id, removal.IS_REVIEWED)
_BATCH = sa.bindparam("batch", type_=sa.BigInteger)
_PAGE = (
    sa.select(batch_items.c.row_no, batch_items.c.ask_no, batch_items.c.job_id)
    .where(batch_items.c.batch_id == _BATCH)
    .order_by(batch_items.c.row_no, batch_items.c.ask_no)
    .limit(_ITEMS)
)
_LAST = (sa.bindparam("row", type_=sa.BigInteger), sa.bindparam("ask", type_=sa.SmallInteger))
_UP_TO = batch_items.delete().where(
    batch_items.c.batch_id == _BATCH, sa.tuple_(batch_items.c.row_no, batch_items.c.ask_no) <= sa.tuple_(*_LAST)
)
_NOTES = (
    followups.delete()
    .where(followups.c.batch_id == _BATCH, followups.c.row_no <= _LAST[0])
    .returning(followups.c.prompt_id)
)


def contents(connection: sa.Connection, ids: Sequence[int]) -> dict[str, int]:
    """What goes with batches: their items, and the jobs that only they list and nobody has reviewed."""
    given = {"ids": ids}
    items = connection.execute(sa.select(sa.func.count()).select_from(batch_items).where(_IN), given).scalar_one()
    alone = sa.select(batch_items.c.job_id).where(_IN, batch_items.c.job_id.is_not(None), ~_ELSEWHERE, ~_REVIEWED)
    mine = alone.distinct().subquery()
    count = connection.execute(sa.select(sa.func.count()).select_from(mine), given).scalar_one()
    said = sa.select(sa.func.count()).select_from(answers.join(mine, mine.c.job_id == answers.c.job_id))
    return {"batch": len(ids), "item": items, "job": count, "answer": connection.execute(said, given).scalar_one()}


def remove_page(connection: sa.Connection, batch: int) -> int | None:
    """The next items of a batch that has ended, with the jobs that are nobody's then; at last the batch itself.

    Returns how many items went, none when the batch is not there, or lives (again).
    """
    ended = sa.select(batches.c.id).where(batches.c.id == batch, _HAS_ENDED).with_for_update()
    if connection.execute(ended).scalar_one_or_none() is None:
        return None
    page = connection.execute(_PAGE, {"batch": batch}).all()
    if not page:
        connection.execute(batches.delete().where(batches.c.id == batch))
        return 0
    last = {"batch": batch, "row": page[-1].row_no, "ask": page[-1].ask_no}
    noted = connection.execute(_NOTES, last).scalars().all()
    connection.execute(_UP_TO, last)
    removal.remove_unlisted(connection, {row.job_id for row in page if row.job_id is not None})
    removal.remove_prompts(connection, noted)
    return len(page)


def _count_batches(connection: sa.Connection, before: float) -> dict[str, int]:
    return contents(
        connection, connection.execute(sa.select(batches.c.id).where(_OLD), {"before": before}).scalars().all()
    )


def _find_batch(connection: sa.Connection, before: float, _: int) -> Sequence[int]:
    oldest = sa.select(batches.c.id).where(_OLD).order_by(batches.c.id).limit(1)
    return connection.execute(oldest, {"before": before}).scalars().all()


def _remove_batch(connection: sa.Connection, before: float, ids: Sequence[int]) -> int:
    old = (
        connection.execute(sa.select(batches.c.id).where(_OLD, _THESE), {"before": before, "ids": ids}).scalars().all()
    )
    return sum(remove_page(connection, id) or 1 for id in old)


# --- images --------------------------------------------------------------------------------------

# No index leads from a digest to the jobs that name it: to keep one took 8 µs (PostgreSQL) to 38 µs (SQLite) of each
# answer, for what is asked once in months. A reading of `job_images` serves some thousands of digests instead. (NOT IN
# is no way: PostgreSQL looks through all for each if they exceed its work_mem, and had not done 300,000 in 3 minutes.)
_DIGESTS = 20_000
_NEXT = (
    sa.select(images.c.sha256)
    .where(images.c.first_seen < _BEFORE, images.c.sha256 > sa.bindparam("after", type_=sa.LargeBinary))
    .order_by(images.c.sha256)
    .limit(sa.bindparam("most", type_=sa.Integer))
)
_NAMED = sa.select(job_images.c.sha256).where(
    job_images.c.sha256.between(sa.bindparam("first", type_=sa.LargeBinary), sa.bindparam("last", type_=sa.LargeBinary))
)


def _count_images(connection: sa.Connection, before: float) -> dict[str, int]:
    count, after = 0, b""
    while found := _find_images(connection, before, after):
        count, after = count + len(found), found[-1]
    return {"picture": count}


def _find_images(connection: sa.Connection, before: float, after: bytes | int) -> Sequence[bytes]:
    place = after or b""
    while page := _digests(connection, _NEXT, before=before, after=place, most=_DIGESTS):
        if found := _nameless(connection, page):
            return found
        place = page[-1]
    return []


def _remove_images(connection: sa.Connection, before: float, digests: Sequence[bytes]) -> int:
    going = _nameless(connection, digests)
    for start in range(0, len(going), STEP):
        connection.execute(images.delete().where(images.c.sha256.in_(going[start : start + STEP])))
    return len(going)


def _nameless(connection: sa.Connection, digests: Sequence[bytes]) -> list[bytes]:
    """Those of the digests, which are in order, that no job names."""
    named = set(_digests(connection, _NAMED, first=digests[0], last=digests[-1]))
    return [digest for digest in digests if digest not in named]


def _digests(connection: sa.Connection, query: sa.Select[Any], **given: Any) -> list[bytes]:
    return [bytes(digest) for digest in connection.execute(query, given).scalars()]


# --- watched files -------------------------------------------------------------------------------

_LEFT = sa.and_(watched_files.c.state.in_(_SETTLED), watched_files.c.updated < _BEFORE)
_RECORD = sa.tuple_(watched_files.c.watch_id, watched_files.c.locator)
_GIVEN = sa.tuple_(sa.bindparam("watch", type_=sa.BigInteger), sa.bindparam("locator", type_=sa.Text))
_RECORDS = (
    sa.select(watched_files.c.watch_id, watched_files.c.locator)
    .where(_LEFT, _RECORD > _GIVEN)
    .order_by(watched_files.c.watch_id, watched_files.c.locator)
    .limit(STEP)
)


def watched(connection: sa.Connection, before: float, after: tuple[int, str]) -> list[tuple[int, str]]:
    """The next records of files that nothing has happened to since: (watch, locator)."""
    rows = connection.execute(_RECORDS, {"before": before, "watch": after[0], "locator": after[1]})
    return [(watch, locator) for watch, locator in rows]


def remove_watched(connection: sa.Connection, before: float, records: Sequence[tuple[int, str]]) -> int:
    """These, as far as still nothing has happened to them."""
    going = watched_files.delete().where(_LEFT, _RECORD.in_(records))
    return connection.execute(going, {"before": before}).rowcount


# In the order in which one sets free what the next looks at.
KINDS: dict[str, Kind] = {
    "batches": Kind(count=_count_batches, find=_find_batch, remove=_remove_batch),
    "jobs": _rows("job", jobs, _UNLISTED, removal.remove),
    "answers": _rows("answer", answers, _SUPERSEDED, partial(_delete, answers)),
    "prompts": _rows("prompt", prompts, _UNUSED, partial(_delete, prompts)),
    "images": Kind(count=_count_images, find=_find_images, remove=_remove_images),
    "workers": _rows("worker", workers, _GONE, partial(_delete, workers)),
    "firings": _rows("firing", firings, _FIRED, partial(_delete, firings)),
}
