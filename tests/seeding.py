"""A small world in the tables, for tests of reading: written directly, so that no writer's bug hides a reader's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from pipeline import tables as t
from pipeline.store import searching
from pipeline.store.views import Views

NOW = 1_000_000.0


class Reader:
    """The part of a store that views need."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        with self.engine.connect() as connection:
            yield connection

    def now(self, connection: sa.Connection) -> float:
        return NOW


def views(engine: sa.Engine) -> Views:
    return Views(Reader(engine))


def world(connection: sa.Connection) -> None:
    """Five jobs in two batches.

    1 cat.jpg   done: answered twice, then the first answer corrected by a person
    2 dog.jpg   done: answered twice, by another build and from the cache the second time
    3 gone.jpg  failed image_missing
    4 new.jpg   queued, about a file name that is no text
    5 other     failed image_unreadable, in no batch that is looked at
    """
    _who_answers(connection)
    _what_is_asked(connection)
    _answers(connection)


def crowd(connection: sa.Connection, done: int, queued: int) -> None:
    """One batch of so many jobs. Of those that have ended each hundredth failed; 500 were answered a second, until now.

    Filled by the database itself: a million rows through Python take minutes.
    """
    _who_answers(connection)
    prompt = {"messages": [["user", "What?"]], "parameters": {}, "question": "What?", "created": 1.0}
    _add(connection, t.prompts, {"id": 1, "digest": b"1", **prompt})
    _add(connection, t.batches, _batch(1, "first", "in_progress"))
    postgres = connection.dialect.name == "postgresql"
    n = sa.literal_column("n", sa.Integer)
    key = sa.text("decode(lpad(to_hex(n), 16, '0'), 'hex')" if postgres else "CAST(printf('%016x', n) AS BLOB)")
    last = done + queued
    numbers = sa.select(sa.func.generate_series(1, last).label("n")).subquery() if postgres else _numbers(last)
    ended = sa.case((n % 100 == 0, "failed"), else_="done")
    job = {"id": n, "job_key": key, "prompt_id": 1, "model": "llava", "lane": 1, "claim_token": 1}
    times = dict.fromkeys(("created", "queued", "updated"), 1.0)
    _fill(connection, t.jobs, numbers, {**job, **times, "state": sa.case((n <= done, ended), else_="queued")})
    place = {"job_id": n, "position": 0, "locator": sa.text("'file:///pictures/' || n || '.jpg'")}
    _fill(connection, t.job_images, numbers, {**place, "size": 10, "mtime_ns": 11})
    item = {"batch_id": 1, "row_no": n, "ask_no": 0, "job_id": n}
    _fill(connection, t.batch_items, numbers, {**item, "ended": sa.case((n <= done, 5.0))})
    given = {**_answer(1, job=1, token=1, text="A red square stands on a blue table."), "id": n, "job_id": n}
    answered = {**given, "worker_id": 1, "created": NOW - (done - n) * 0.002, "content_key": key}
    _fill(connection, t.answers, numbers, answered, sa.and_(n <= done, n % 100 != 0))


def words(connection: sa.Connection, said: str, kinds: int) -> None:
    """Each answer of a crowd says these words, and one of so many others that begin with `item`."""
    text = f"'{said} item' || (id % {kinds})"
    if connection.dialect.name == "postgresql":
        text = f"to_tsvector('simple', {text})"
    connection.execute(sa.text(f"INSERT INTO answer_words (rowid, words) SELECT id, {text} FROM answers"))


def _numbers(last: int) -> sa.CTE:
    start = sa.select(sa.literal(1).label("n")).cte("numbers", recursive=True)
    return start.union_all(sa.select(start.c.n + 1).where(start.c.n < last))


def _fill(
    connection: sa.Connection,
    table: sa.Table,
    numbers: sa.FromClause,
    columns: dict[str, Any],
    where: sa.ColumnElement[bool] | None = None,
) -> None:
    values = [value if isinstance(value, sa.ClauseElement) else sa.literal(value) for value in columns.values()]
    query = sa.select(*values).select_from(numbers)
    query = query if where is None else query.where(where)
    connection.execute(table.insert().from_select(list(columns), query, include_defaults=False))


def _add(connection: sa.Connection, table: sa.Table, *rows: dict[str, Any]) -> None:
    for row in rows:
        connection.execute(table.insert(), row)


def _who_answers(connection: sa.Connection) -> None:
    _add(
        connection,
        t.builds,
        _build(1, b"\xaa" * 16, "int4", source="some/model", revision="r1", recipe={"ratio": 1.0}),
        _build(2, b"\xbb" * 16, "int8"),
    )
    _add(connection, t.aliases, {"alias": "llava", "build_id": 1, "updated": 3.0})
    _add(
        connection,
        t.runtimes,
        {
            "id": 1,
            "digest": b"r",
            "engine": "batching",
            "device": "CPU",
            "device_name": "A processor",
            "versions": {"openvino": "2026.4"},
            "options": {"max_num_seqs": 16},
            "created": 1.0,
        },
    )
    _add(connection, t.workers, _worker(1, NOW + 60, {"running": 7}), _worker(2, NOW - 1, None), _worker(3, None, None))


def _build(id: int, digest: bytes, precision: str, **more: Any) -> dict[str, Any]:
    fixed = {"family": "llava", "path": "/models/x", "stamp": "s", "created": 1.0}
    return {"id": id, "digest": digest, "precision": precision, **fixed, **more}


def _worker(id: int, lease: float | None, status: Any) -> dict[str, Any]:
    who = {"owner": f"me/{id}", "host": "here", "boot_id": "b", "pid_namespace": "n", "pid": 40 + id, "pid_started": 1}
    return {"id": id, **who, "model": "llava", "device": "CPU", "status": status, "started": 5.0, "lease_until": lease}


def _what_is_asked(connection: sa.Connection) -> None:
    ended = {"ended": 2.0}
    invalid = {"error_code": "row_invalid", "error": "the row cannot be used: no"}
    few_shot = [["system", "Be brief."], ["user", "Example?"], ["assistant", "Yes."], ["user", "What is it?"]]
    _add(
        connection,
        t.prompts,
        {
            "id": 1,
            "digest": b"1",
            "messages": few_shot,
            "parameters": {"max_tokens": 9},
            "question": "What is it?",
            "created": 1.0,
        },
    )
    _add(
        connection,
        t.jobs,
        _job(1, "done", claim_token=2),
        _job(2, "done", claim_token=2, model="other"),
        _job(3, "failed", error_code="image_missing", error="there is no such file", attempts=1),
        _job(4, "queued"),
        _job(5, "failed", error_code="image_unreadable", error="the picture cannot be read: no"),
    )
    names = {1: "cat.jpg", 2: "dog.jpg", 3: "gone.jpg", 4: "n%FFw%0A.jpg", 5: "other.jpg"}
    _add(
        connection,
        t.images,
        {"sha256": b"\x01" * 32, "bytes": 10, "width": 640, "height": 480, "format": "JPEG", "first_seen": 1.0},
    )
    _add(connection, t.job_images, *({"job_id": id, "position": 0, **_place(id, name)} for id, name in names.items()))
    _add(connection, t.batches, _batch(1, "first", "in_progress"), _batch(2, "second", "completed", finished=9.0))
    _add(
        connection,
        t.batch_items,
        {"batch_id": 1, "row_no": 0, "ask_no": 0, "job_id": 2, "custom_id": "dog", "columns": {"shelf": 3}, **ended},
        {"batch_id": 1, "row_no": 1, "ask_no": 0, "job_id": 1, **ended},
        {"batch_id": 1, "row_no": 1, "ask_no": 1, "job_id": 3, **ended},
        {"batch_id": 1, "row_no": 2, "ask_no": 0, **ended, **invalid},
        {"batch_id": 1, "row_no": 3, "ask_no": 0, "job_id": 4},
        {"batch_id": 1, "row_no": 4, "ask_no": 0, "job_id": 1, **ended},
        {"batch_id": 2, "row_no": 0, "ask_no": 0, "job_id": 1, **ended},
    )


def _job(id: int, state: str, **more: Any) -> dict[str, Any]:
    fixed = {"job_key": bytes([id]), "prompt_id": 1, "model": "llava", "lane": 1}
    return {"id": id, "state": state, **fixed, "created": 1.0, "queued": 1.0, "updated": 2.0, **more}


def _place(id: int, name: str) -> dict[str, Any]:
    read = b"\x01" * 32 if id <= 2 else None
    return {"locator": f"file:///pictures/{name}", "size": 10, "mtime_ns": 11, "sha256": read}


def _batch(id: int, name: str, state: str, **more: Any) -> dict[str, Any]:
    spec = {"paths": ["pictures"], "questions": ["What is it?"]}
    return {"id": id, "name": name, "origin": "run", "spec": spec, "state": state, "lane": 1, "created": 1.0, **more}


def _answers(connection: sa.Connection) -> None:
    _add(
        connection,
        t.answers,
        _answer(1, job=1, token=1, text="a cat", worker_id=1),
        _answer(2, job=2, token=1, text="a dog", build_id=2),
        _answer(3, job=1, token=2, text="a lion", finish_reason="length"),
        _answer(4, job=2, token=2, text="100% dog", cached_from=2),
    )
    said = {1: "a grey cat", 2: "a dog", 3: "a lion", 4: "100% dog"}
    searching.add(connection, said.items())
    _add(
        connection,
        t.reviews,
        {"id": 1, "answer_id": 1, "verdict": "corrected", "text": "a grey cat", "reviewer": "ann", "created": 6.0},
        {"id": 2, "answer_id": 1, "verdict": "right", "text": None, "reviewer": "bob", "created": 7.0},
        {"id": 3, "answer_id": 3, "verdict": "wrong", "text": None, "reviewer": "ann", "created": 8.0},
    )


def _answer(id: int, *, job: int, token: int, text: str, **more: Any) -> dict[str, Any]:
    fixed = {"build_id": 1, "runtime_id": 1, "finish_reason": "stop", "prompt_tokens": 30, "answer_tokens": 2 + id}
    times = {"queue_s": 0.1, "read_s": 0.2, "vision_s": 0.3, "first_token_s": 0.4, "total_s": 0.5}
    return {"id": id, "job_id": job, "claim_token": token, "text": text, **fixed, **times, "created": 4.0 + id, **more}
