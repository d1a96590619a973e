"""Submission: items of a batch become jobs, or are linked to jobs that are known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from pipeline.errors import BatchUnknown
from pipeline.jobs import BatchState, Item, State
from pipeline.prompts import Prompt
from pipeline.store.batches import release, revive
from pipeline.store.dialects import as_json, insert_rows, locked, plain, plain_or_none, reserve
from pipeline.store.moves import THESE, set_lanes
from pipeline.store.requeueing import restart
from pipeline.store.values import Added, InvalidRow
from pipeline.tables import batch_items, batches, job_images, jobs, prompts

Row = tuple[Any, ...]

_RUN_AGAIN = (State.FAILED, State.CANCELLED)

# The order of the columns in rows that go to the driver as they are.
_JOB = ("id", "job_key", "prompt_id", "model", "device_class", "lane", "state", "created", "queued", "updated")
_PICTURE = ("job_id", "position", "locator", "size", "mtime_ns")
_PROMPT = ("digest", "messages", "parameters", "form", "question", "created")
_ITEM = ("batch_id", "row_no", "ask_no", "job_id", "custom_id", "columns", "error_code", "error", "ended")

_OF_BATCH = batch_items.c.batch_id == sa.bindparam("batch")
_WITHIN = sa.select(batch_items.c.row_no, batch_items.c.ask_no, batch_items.c.job_id).where(
    _OF_BATCH, batch_items.c.row_no.between(sa.bindparam("first"), sa.bindparam("last"))
)
_REMOVE = batch_items.delete().where(
    _OF_BATCH, batch_items.c.row_no == sa.bindparam("row"), batch_items.c.ask_no == sa.bindparam("ask")
)
T = TypeVar("T")


def add(connection: sa.Connection, batch_id: int, items: Sequence[Item], now: float, *, force: bool) -> Added:
    """Each item's job is made, linked or requeued; an item that stood at the same position is replaced."""
    lane, over = _take_up(connection, batch_id)
    known = _known(connection, [item.spec.key for item in items])
    new = {item.spec.key: item for item in items if item.spec.key not in known}
    ids = {key: id for key, (id, _) in known.items()} | _insert_jobs(connection, new, lane, now)
    again = [id for id, state in known.values() if state in _RUN_AGAIN or (force and state == State.DONE)]
    _requeue(connection, known, again, now, force=force)
    done = {id for id, state in known.values() if state == State.DONE}.difference(again)
    _put_items(connection, batch_id, [_item_row(batch_id, item, ids[item.spec.key], done, now) for item in items], now)
    if over:
        release(connection, list(ids.values()), now)
    elif known:
        set_lanes(connection, THESE, now, ids=[id for id, _ in known.values()])
    return _count([ids[item.spec.key] for item in items], {ids[key] for key in new}, set(again), done)


def rehearse(connection: sa.Connection, items: Sequence[Item], *, force: bool) -> Added:
    """What `add` would do, counted without doing it."""
    query = sa.select(jobs.c.job_key, jobs.c.state).where(jobs.c.job_key.in_({item.spec.key for item in items}))
    known = {bytes(key): state for key, state in connection.execute(query)}
    again = {key for key, state in known.items() if state in _RUN_AGAIN or (force and state == State.DONE)}
    done = {key for key, state in known.items() if state == State.DONE} - again
    keys = [item.spec.key for item in items]
    return _count(keys, set(keys).difference(known), again, done)


def add_invalid(connection: sa.Connection, batch_id: int, rows: Sequence[InvalidRow], now: float) -> None:
    """Rows that could not become a job stay in the batch with their reason."""
    _take_up(connection, batch_id)
    _put_items(connection, batch_id, [_invalid_row(batch_id, row, now) for row in rows], now)


# --- jobs --------------------------------------------------------------------------------------


def _take_up(connection: sa.Connection, batch_id: int) -> tuple[int, bool]:
    """The batch's lane, and whether it was cancelled or has expired: then what is added ends at once.

    A completed batch that gets items again is not complete.
    """
    row = connection.execute(sa.select(batches.c.lane, batches.c.state).where(batches.c.id == batch_id)).one_or_none()
    if row is None:
        raise BatchUnknown(name=batch_id)
    if row.state == BatchState.COMPLETED:
        revive(connection, batches.c.id == batch_id, BatchState.VALIDATING)
    return int(row.lane), row.state in (BatchState.CANCELLED, BatchState.EXPIRED)


def _known(connection: sa.Connection, keys: Iterable[bytes]) -> dict[bytes, tuple[int, str]]:
    """Key -> (id, state) of the jobs that exist. They are locked: none of them ends while it is linked."""
    query = sa.select(jobs.c.job_key, jobs.c.id, jobs.c.state).where(jobs.c.job_key.in_(set(keys)))
    return {bytes(key): (id, state) for key, id, state in connection.execute(locked(query))}


def _insert_jobs(connection: sa.Connection, new: Mapping[bytes, Item], lane: int, now: float) -> dict[bytes, int]:
    if not new:
        return {}
    ids = dict(zip(new, reserve(connection, jobs, len(new)), strict=True))
    asked = _prompt_ids(connection, {item.spec.prompt.digest: item.spec.prompt for item in new.values()}, now)
    rest = (lane, State.QUEUED.value, now, now, now)
    rows = [
        (ids[key], key, asked[item.spec.prompt.digest], item.spec.model, item.spec.device_class, *rest)
        for key, item in new.items()
    ]
    insert_rows(connection, jobs, _JOB, rows)
    pictures = [
        (ids[key], position, picture.locator, picture.size, picture.mtime_ns)
        for key, item in new.items()
        for position, picture in enumerate(item.spec.pictures)
    ]
    insert_rows(connection, job_images, _PICTURE, pictures)
    return ids


def _prompt_ids(connection: sa.Connection, asked: Mapping[bytes, Prompt], now: float) -> dict[bytes, int]:
    query = sa.select(prompts.c.digest, prompts.c.id).where(prompts.c.digest.in_(asked.keys()))
    known = {bytes(digest): id for digest, id in connection.execute(query)}
    rows = [_prompt_row(prompt, now) for digest, prompt in asked.items() if digest not in known]
    if not rows:
        return known
    insert_rows(connection, prompts, _PROMPT, rows)
    return {bytes(digest): id for digest, id in connection.execute(query)}


def _prompt_row(prompt: Prompt, now: float) -> Row:
    said = (as_json([list(message) for message in prompt.messages]), as_json(prompt.parameters), as_json(prompt.form))
    return (prompt.digest, *said, plain(prompt.question), now)


def _requeue(
    connection: sa.Connection, known: Mapping[bytes, tuple[int, str]], again: list[int], now: float, *, force: bool
) -> None:
    if again:
        restart(connection, again, now, fresh=force)
    if force and (waiting := [id for id, state in known.values() if state == State.QUEUED]):
        connection.execute(jobs.update().where(THESE).values(fresh=True), {"ids": waiting})


def _count(linked: Iterable[T], new: set[T], again: set[T], done: set[T]) -> Added:
    """Of several items with one job the first counts as what became of the job, the others as links."""
    counts: Counter[str] = Counter()
    seen: set[T] = set()
    for job in linked:
        first = job not in seen
        seen.add(job)
        kind = "new" if first and job in new else "requeued" if first and job in again else "linked_pending"
        counts["linked_done" if job in done else kind] += 1
    return Added(**counts)


# --- items -------------------------------------------------------------------------------------


def _item_row(batch_id: int, item: Item, job: int, done: set[int], now: float) -> Row:
    ended = now if job in done else None
    columns = None if item.columns is None else as_json(dict(item.columns))
    return (batch_id, item.row, item.ask, job, plain_or_none(item.custom_id), columns, None, None, ended)


def _invalid_row(batch_id: int, row: InvalidRow, now: float) -> Row:
    columns = None if row.columns is None else as_json(dict(row.columns))
    return (batch_id, row.row, 0, None, plain_or_none(row.custom_id), columns, row.code, plain(row.message), now)


def _put_items(connection: sa.Connection, batch_id: int, rows: Sequence[Row], now: float) -> None:
    if not rows:
        return
    placed = {(row[1], row[2]): row for row in rows}
    replaced = _clear(connection, batch_id, placed.keys())
    insert_rows(connection, batch_items, _ITEM, list(placed.values()))
    release(connection, list(replaced.difference(row[3] for row in rows)), now)


def _clear(connection: sa.Connection, batch_id: int, places: Collection[tuple[int, int]]) -> set[int]:
    """Remove what an earlier submission under this name put at these places, and say which jobs that were.

    A row may be split between two calls, so of its questions only those beyond the last one given go.
    """
    last: dict[int, int] = {}
    for row, ask in places:
        last[row] = max(ask, last.get(row, 0))
    given = {"batch": batch_id, "first": min(last), "last": max(last)}
    stale = [
        (row, ask, job)
        for row, ask, job in connection.execute(_WITHIN, given)
        if (row, ask) in places or (row in last and ask > last[row])
    ]
    if stale:
        connection.execute(_REMOVE, [{"batch": batch_id, "row": row, "ask": ask} for row, ask, _ in stale])
    return {job for _, _, job in stale if job is not None}
