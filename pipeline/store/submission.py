"""Submission: items of a batch become jobs, or are linked to jobs that are known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Any

import sqlalchemy as sa

from pipeline.conditions import verdict
from pipeline.errors import BatchUnknown
from pipeline.jobs import BatchState, Item, State
from pipeline.prompts import Prompt
from pipeline.store import followups, linking
from pipeline.store.batches import release, revive
from pipeline.store.dialects import as_json, as_read, insert_rows, plain, plain_or_none, reserve
from pipeline.store.followups import Place
from pipeline.store.linking import is_run_again
from pipeline.store.moves import THESE, set_lanes
from pipeline.store.values import Added, InvalidRow
from pipeline.tables import answers, batch_items, batches, job_images, jobs, prompts

Row = tuple[Any, ...]

# The order of the columns in rows that go to the driver as they are.
_PICTURE = ("job_id", "position", "locator", "size", "mtime_ns")
_PROMPT = ("digest", "messages", "parameters", "form", "question", "created")
_ITEM = ("batch_id", "row_no", "ask_no", "job_id", "custom_id", "columns", "error_code", "error", "ended", "name")

_OF_BATCH = batch_items.c.batch_id == sa.bindparam("batch")
# The columns as the text they were stored as.
_SAID = (
    batch_items.c.custom_id,
    sa.cast(batch_items.c.columns, sa.Text),
    batch_items.c.error_code,
    batch_items.c.error,
)
_WITHIN = sa.select(batch_items.c.row_no, batch_items.c.ask_no, batch_items.c.job_id, *_SAID, batch_items.c.name).where(
    _OF_BATCH, batch_items.c.row_no.between(sa.bindparam("first"), sa.bindparam("last"))
)
_LAST_ANSWERS = (
    sa.select(jobs.c.id, answers.c.text)
    .join(answers, sa.and_(answers.c.job_id == jobs.c.id, answers.c.claim_token == jobs.c.claim_token))
    .where(THESE)
)
_REMOVE = batch_items.delete().where(
    _OF_BATCH, batch_items.c.row_no == sa.bindparam("row"), batch_items.c.ask_no == sa.bindparam("ask")
)


def add(connection: sa.Connection, batch_id: int, items: Sequence[Item], now: float, *, force: bool) -> Added:
    """Each item's job is made, linked or requeued; an item that stood at the same position is replaced.

    A follow-up question is noted instead, and asked at once where earlier answers are known already.
    """
    lane, over = _take_up(connection, batch_id)
    asked = [item for item in items if not item.when]
    later = [item for item in items if item.when]
    # The jobs of follow-ups too, in one statement: all are locked in one order.
    found = linking.known(connection, [item.spec.key for item in items])
    known = found if not later else {key: found[key] for item in asked if (key := item.spec.key) in found}
    new = {item.spec.key: item for item in asked if item.spec.key not in known}
    ids = {key: id for key, (id, _) in known.items()} | _insert_jobs(connection, new, lane, now)
    again = linking.run_again(connection, known.values(), now, force=force)
    done = {id for id, state in known.values() if state == State.DONE} - again
    rows = [_item_row(batch_id, item, ids[item.spec.key], done, now) for item in asked]
    _put_items(connection, batch_id, rows, now, noted={(item.row, item.ask) for item in later})
    linking.heed_no_cache(connection, batch_id, {*again, *(ids[key] for key in new)})
    if over:
        release(connection, list(ids.values()), now)
    elif known:
        set_lanes(connection, THESE, now, ids=[id for id, _ in known.values()])
    added = linking.count([ids[item.spec.key] for item in asked], {ids[key] for key in new}, again, done)
    return added + _follow_up(connection, batch_id, items, now, force=force)


def _follow_up(connection: sa.Connection, batch_id: int, items: Sequence[Item], now: float, *, force: bool) -> Added:
    """Note the items that are follow-ups; ask those that can be decided already."""
    if not items:
        return Added()
    asked = _prompt_ids(connection, {item.spec.prompt.digest: item.spec.prompt for item in items if item.when}, now)
    followups.note(connection, batch_id, items, asked, force=force)
    if not asked:
        return Added()
    return followups.follow(connection, {batch_id: {item.row for item in items if item.when}}, now, linking_now=True)


def rehearse(connection: sa.Connection, items: Sequence[Item], *, force: bool) -> Added:
    """What `add` would do, counted without doing it. The questions about a row come together."""
    known = linking.look_up(connection, [item.spec.key for item in items])
    again = {key for key, (_, state) in known.items() if is_run_again(state, force=force)}
    done = {key for key, (_, state) in known.items() if state == State.DONE} - again
    asked, waiting = items, 0
    if any(item.when for item in items):
        asked, waiting = _decided(items, _texts(connection, {known[key][0]: key for key in done}))
    keys = [item.spec.key for item in asked]
    return linking.count(keys, set(keys).difference(known), again, done) + Added(waiting=waiting)


def _decided(items: Sequence[Item], texts: Mapping[bytes, str]) -> tuple[list[Item], int]:
    """The items that would be asked, and how many wait for answers, when these are known."""
    answered: defaultdict[int, dict[int, str | None]] = defaultdict(dict)
    asked, waiting = [], 0
    for item in items:
        wanted = verdict(item.when, answered[item.row])
        if wanted:
            asked.append(item)
        if wanted is not False:
            answered[item.row][item.ask] = texts.get(item.spec.key) if wanted else None
        waiting += wanted is None
    return asked, waiting


def _texts(connection: sa.Connection, keys: Mapping[int, bytes]) -> dict[bytes, str]:
    """The answers of these jobs, which are done, by their keys."""
    found = connection.execute(_LAST_ANSWERS, {"ids": list(keys)})
    return {keys[job]: text for job, text in found}


def add_invalid(connection: sa.Connection, batch_id: int, rows: Sequence[InvalidRow], now: float) -> None:
    """Rows that could not become a job stay in the batch with their reason."""
    _take_up(connection, batch_id)
    _put_items(connection, batch_id, [_invalid_row(batch_id, row, now) for row in rows], now)
    numbers = [row.row for row in rows]
    followups.forget(connection, batch_id, (min(numbers), 0), max(numbers))


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
    insert_rows(connection, jobs, linking.JOB, rows)
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


# --- items -------------------------------------------------------------------------------------


def _item_row(batch_id: int, item: Item, job: int, done: set[int], now: float) -> Row:
    ended = now if job in done else None
    columns = None if item.columns is None else as_json(item.columns)
    return (
        batch_id,
        item.row,
        item.ask,
        job,
        plain_or_none(item.custom_id),
        columns,
        None,
        None,
        ended,
        plain_or_none(item.name),
    )


def _invalid_row(batch_id: int, row: InvalidRow, now: float) -> Row:
    columns = None if row.columns is None else as_json(row.columns)
    return (batch_id, row.row, 0, None, plain_or_none(row.custom_id), columns, row.code, plain(row.message), now, None)


def _put_items(
    connection: sa.Connection, batch_id: int, rows: Sequence[Row], now: float, *, noted: Collection[Place] = ()
) -> None:
    """Items, instead of those that stood there. What stands where a follow-up is noted is left to that."""
    if not (rows or noted):
        return
    placed = {(row[1], row[2]): row for row in rows}
    replaced = _clear(connection, batch_id, placed, noted)
    insert_rows(connection, batch_items, _ITEM, list(placed.values()))
    release(connection, list(replaced.difference(row[3] for row in rows)), now)


def _clear(connection: sa.Connection, batch_id: int, placed: dict[Place, Row], noted: Collection[Place]) -> set[int]:
    """Remove what an earlier submission under this name put at these places, and say which jobs that were.

    What stands there as it is to be stays, and is taken out of `placed`: most of what is submitted again is known.
    A row may be split between two calls, so of its questions only those beyond the last one given go.
    """
    last: dict[int, int] = {}
    for row, ask in chain(placed, noted):
        last[row] = max(ask, last.get(row, 0))
    given = {"batch": batch_id, "first": min(last), "last": max(last)}
    stale: list[tuple[int, int, int | None]] = []
    for row, ask, *said in as_read(connection.execute(_WITHIN, given)):
        wished = placed.get((row, ask))
        if wished is not None and tuple(said) == (*wished[3:8], wished[9]):
            del placed[row, ask]
        elif wished is not None or ask > last.get(row, ask):
            stale.append((row, ask, said[0]))
    if stale:
        connection.execute(_REMOVE, [{"batch": batch_id, "row": row, "ask": ask} for row, ask, _ in stale])
    return {job for _, _, job in stale if job is not None}
