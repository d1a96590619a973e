"""How held jobs end: answered, failed, or given back. Whoever's token is stale writes nothing."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from pipeline.errors import CODES, Ended, JobError, is_retried
from pipeline.jobs import Answer, CacheHit, Failure, PictureRead, State
from pipeline.store import searching
from pipeline.store.dialects import IDS, NOW, any_of, as_json, insert_rows, plain, reserve
from pipeline.store.moves import ENDED, THESE, Held, close_items, held, move, put_back
from pipeline.tables import answers, images, job_images, jobs

MAX_ATTEMPTS = 4
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0

Ending = Answer | CacheHit

_DONE = (
    jobs.update()
    .where(THESE)
    .values({**ENDED, "state": State.DONE, "error_code": None, "error": None, "source_changed": False, "updated": NOW})
)
_NOTE = jobs.update().where(jobs.c.id == sa.bindparam("job"))
_READ = (
    job_images.update()
    .where(job_images.c.job_id == sa.bindparam("job"), job_images.c.position == sa.bindparam("place"))
    .values(sha256=sa.bindparam("read"))
)
_EXISTING = sa.select(answers.c.id).where(any_of(answers.c.id, IDS))
_IMAGE = ("sha256", "bytes", "width", "height", "format", "first_seen")
_DURATIONS = ("queue_s", "read_s", "vision_s", "first_token_s", "total_s")
_SAID = ("text", "parsed", "finish_reason", "logprob", "prompt_tokens", "answer_tokens", "seed")
_BY = ("build_id", "runtime_id")
_ANSWER = ("id", "job_id", "claim_token", *_BY, "worker_id", *_SAID, *_DURATIONS, "content_key", "created")


def _copy() -> sa.Insert:
    """An answer once more, for another job with the same content."""
    origin = answers.alias()
    columns: dict[str, sa.ColumnElement[Any]] = {name: origin.c[name] for name in (*_BY, *_SAID)}
    columns |= dict.fromkeys(_DURATIONS, sa.literal_column("0.0"))
    columns |= {
        "job_id": sa.bindparam("job", type_=sa.BigInteger),
        "claim_token": sa.bindparam("token", type_=sa.Integer),
        "worker_id": sa.bindparam("worker", type_=sa.BigInteger),
        "content_key": sa.bindparam("key", type_=sa.LargeBinary),
        "cached_from": sa.func.coalesce(origin.c.cached_from, origin.c.id),
        "created": NOW,
    }
    found = sa.select(*columns.values()).where(origin.c.id == sa.bindparam("answer", type_=sa.BigInteger))
    return answers.insert().from_select(list(columns), found)


_COPY = _copy()


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Who answered."""

    worker: int
    build: int
    runtime: int | None
    """none when all came from the cache, before any engine was ready"""


def finish(connection: sa.Connection, endings: Sequence[Ending], source: Source, now: float) -> set[int]:
    """Answers and the new state of their jobs, together. Returns the jobs that were really written."""
    still = held(connection, [(ending.job, ending.token) for ending in endings])
    valid = [ending for ending in endings if ending.job in still and ending.token == still[ending.job].claim_token]
    hits = [ending for ending in valid if isinstance(ending, CacheHit)]
    kept = _existing(connection, {hit.answer for hit in hits})
    # The answer to copy was pruned since it was found: the engine has to be asked after all.
    gone = {hit.job for hit in hits if hit.answer not in kept}
    put_back(connection, gone, now)
    written = {ending.job: ending for ending in valid if ending.job not in gone}
    if written:
        connection.execute(_DONE, {"ids": written, "now": now})
        close_items(connection, written, now)
        _mark_changed(connection, written, now)
        _remember_pictures(connection, {job: ending.pictures for job, ending in written.items()}, now)
        _insert_answers(connection, [e for e in written.values() if isinstance(e, Answer)], source, now)
        _copy_answers(connection, [e for e in written.values() if isinstance(e, CacheHit)], source, now)
    return set(written)


def fail(connection: sa.Connection, failures: Sequence[Failure], now: float) -> dict[int, State]:
    """Failed jobs are tried again later, or end. Returns where each went; stale ones are absent."""
    still = held(connection, [(failure.job, failure.token) for failure in failures])
    valid = {f.job: f for f in failures if f.job in still and f.token == still[f.job].claim_token}
    _remember_pictures(connection, {job: failure.pictures for job, failure in valid.items()}, now)
    # A person or a deadline decided, which is looked up again: another batch may want the job since.
    dropped = {job for job, failure in valid.items() if issubclass(CODES.get(failure.code, JobError), Ended)}
    tries = {job: still[job].attempts + 1 for job in valid if job not in dropped}
    again = {job for job, attempts in tries.items() if _is_tried_again(valid[job], attempts)}
    ended = tries.keys() - again
    _note(connection, [valid[job] for job in tries], tries, now)
    _fail(connection, ended, now)
    return put_back(connection, [*dropped, *again], now) | dict.fromkeys(ended, State.FAILED)


def give_back(connection: sa.Connection, pairs: Held, now: float) -> int:
    """Held jobs wait again as if they had never been claimed."""
    return len(put_back(connection, list(held(connection, pairs)), now))


def count_crash(connection: sa.Connection, pairs: Held, now: float) -> None:
    """The engine died with these jobs inside. Their worker keeps them and asks again."""
    move(connection, held(connection, pairs), now, {"crashes": jobs.c.crashes + 1})


def pause_s(attempts: int) -> float:
    """How long a job waits after this many failures: doubling, and not all of them at once."""
    longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (attempts - 1))
    return longest * random.uniform(0.75, 1.25)


# --- one transaction's parts ---------------------------------------------------------------------


def _is_tried_again(failure: Failure, attempts: int) -> bool:
    return is_retried(failure.code) and not failure.final and attempts < MAX_ATTEMPTS


def _note(connection: sa.Connection, failures: Iterable[Failure], tries: Mapping[int, int], now: float) -> None:
    """What went wrong, and until when the job waits if it waits again."""
    rows = [
        {
            "job": failure.job,
            "attempts": tries[failure.job],
            "error_code": failure.code,
            "error": plain(failure.message),
            "run_after": now + pause_s(tries[failure.job]),
        }
        for failure in failures
    ]
    if rows:
        connection.execute(_NOTE, rows)


def _fail(connection: sa.Connection, ids: Collection[int], now: float) -> None:
    if ids:
        move(connection, ids, now, {**ENDED, "state": State.FAILED})
        close_items(connection, ids, now)


def _mark_changed(connection: sa.Connection, written: Mapping[int, Ending], now: float) -> None:
    changed = [job for job, ending in written.items() if any(picture.changed for picture in ending.pictures)]
    if changed:
        move(connection, changed, now, {"source_changed": True})


def _remember_pictures(connection: sa.Connection, read: Mapping[int, Sequence[PictureRead]], now: float) -> None:
    """What was found in the files, and which of it belongs to which job."""
    found = {picture.sha256: picture for pictures in read.values() for picture in pictures}
    if not found:
        return
    # In one order, so that two transactions with the same pictures cannot wait for each other.
    rows = [(sha256, p.bytes, p.width, p.height, p.format, now) for sha256, p in sorted(found.items())]
    insert_rows(connection, images, _IMAGE, rows, skip_known=True)
    places = [
        {"job": job, "place": place, "read": picture.sha256}
        for job, pictures in read.items()
        for place, picture in enumerate(pictures)
    ]
    connection.execute(_READ, places)


def _insert_answers(connection: sa.Connection, fresh: Iterable[Answer], source: Source, now: float) -> None:
    new = list(fresh)
    if not new:
        return
    by = (source.build, source.runtime, source.worker)
    ids = list(reserve(connection, answers, len(new)))
    rows = [_answer(id, answer, by, now) for id, answer in zip(ids, new, strict=True)]
    insert_rows(connection, answers, _ANSWER, rows)
    searching.add(connection, zip(ids, (answer.text for answer in new), strict=True))


def _answer(id: int, answer: Answer, by: tuple[int, int | None, int], now: float) -> tuple[Any, ...]:
    return (
        id,
        answer.job,
        answer.token,
        *by,
        plain(answer.text),
        as_json(answer.parsed),
        answer.finish_reason,
        answer.logprob,
        answer.prompt_tokens,
        answer.answer_tokens,
        answer.seed,
        answer.queue_s,
        answer.read_s,
        answer.vision_s,
        answer.first_token_s,
        answer.total_s,
        answer.content_key,
        now,
    )


def _copy_answers(connection: sa.Connection, hits: Collection[CacheHit], source: Source, now: float) -> None:
    """Answers that are taken over name who really gave them, and cost nothing."""
    rows = [
        {
            "job": hit.job,
            "token": hit.token,
            "worker": source.worker,
            "key": hit.content_key,
            "now": now,
            "answer": hit.answer,
        }
        for hit in hits
    ]
    if rows:
        connection.execute(_COPY, rows)
        searching.copy(connection, [hit.job for hit in hits])


def _existing(connection: sa.Connection, ids: Collection[int]) -> set[int]:
    return set(connection.execute(_EXISTING, {"ids": ids}).scalars()) if ids else set()
