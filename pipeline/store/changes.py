"""Changes: what is different since a moment: answers, failures, what waits, how quick machines are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from pipeline import locators
from pipeline.jobs import State
from pipeline.tables import answers, batch_items, batches, builds, job_images, jobs, prompts, runtimes, workers

WEEK_S = 7 * 86_400.0
ENOUGH = 20
"""answers of a machine before and after, from which its speed is told"""
SLOWER = 1.25
"""so much longer than before is worth a line"""
EVERY = 2**31 - 1
"""as many as there are"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Slowdown:
    """A machine whose answers take longer than in the week before."""

    host: str
    device: str
    family: str
    build: str
    before_s: float
    now_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A picture and a question to which the answer is another one now."""

    picture: str
    question: str
    model: str
    before: str
    now: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """What is different since a moment."""

    since: float
    answers: Mapping[str, int]
    """by model"""
    copied: int
    """of these, answers that were known by the picture's content"""
    failures: Mapping[str, int]
    """by code"""
    waiting: int
    """pictures that unfinished batches want an answer about"""
    failed: int
    """pictures of failed jobs, whenever that was"""
    slower: tuple[Slowdown, ...]
    differing: int
    differences: tuple[Difference, ...]
    """the first of these"""


_SINCE = sa.bindparam("since", type_=sa.Double)
_first = sa.and_(job_images.c.job_id == jobs.c.id, job_images.c.position == 0)
# Ids rise with time: the rest goes by the key.
_FIRST_ID = sa.select(sa.func.min(answers.c.id)).where(answers.c.created >= _SINCE)
_NEW = answers.c.id >= sa.bindparam("first", type_=sa.BigInteger)
_ANSWERS = (
    sa.select(jobs.c.model, sa.func.count(), sa.func.count(answers.c.cached_from))
    .join(jobs, jobs.c.id == answers.c.job_id)
    .where(_NEW)
    .group_by(jobs.c.model)
    .order_by(jobs.c.model)
)
# Spelled out, not bound: only so does the partial index on jobs.state apply.
_IS_FAILED = jobs.c.state == sa.literal_column(f"'{State.FAILED}'")
_FAILURES = (
    sa.select(jobs.c.error_code, sa.func.count())
    .where(_IS_FAILED, jobs.c.updated >= _SINCE)
    .group_by(jobs.c.error_code)
)
_BAD_ROWS = (
    sa.select(batch_items.c.error_code, sa.func.count())
    .join(batches, batches.c.id == batch_items.c.batch_id)
    .where(batches.c.created >= _SINCE, batch_items.c.job_id.is_(None), batch_items.c.error_code.is_not(None))
    .group_by(batch_items.c.error_code)
)
_PICTURES = sa.select(sa.func.count(job_images.c.locator.distinct())).select_from(jobs).join(job_images, _first)
_WAITING = (
    _PICTURES.join(batch_items, batch_items.c.job_id == jobs.c.id)
    .join(batches, batches.c.id == batch_items.c.batch_id)
    .where(batches.c.finished.is_(None), batch_items.c.ended.is_(None))
)
_FAILED = _PICTURES.where(_IS_FAILED)

_is_new = sa.case((_NEW, 1), else_=0)
_SPEEDS = (
    sa.select(
        workers.c.host,
        runtimes.c.device,
        builds.c.family,
        builds.c.digest,
        _is_new.label("new"),
        sa.func.count().label("many"),
        sa.func.avg(answers.c.total_s).label("seconds"),
    )
    .select_from(answers)
    .join(workers, workers.c.id == answers.c.worker_id)
    .join(runtimes, runtimes.c.id == answers.c.runtime_id)
    .join(builds, builds.c.id == answers.c.build_id)
    .where(answers.c.id >= sa.bindparam("week", type_=sa.BigInteger), answers.c.cached_from.is_(None))
    .group_by(workers.c.host, runtimes.c.device, builds.c.family, builds.c.digest, _is_new)
    .order_by(workers.c.host, runtimes.c.device, builds.c.family, builds.c.digest)
)

_latest = (
    sa.select(answers.c.job_id, sa.func.max(answers.c.id).label("id")).where(_NEW).group_by(answers.c.job_id).subquery()
)
_now, _before, _earlier = answers.alias(), answers.alias(), answers.alias()
_previous = (
    sa.select(sa.func.max(_earlier.c.id))
    .where(_earlier.c.job_id == _latest.c.job_id, _earlier.c.id < sa.bindparam("first", type_=sa.BigInteger))
    .correlate(_latest)
    .scalar_subquery()
)
_DIFFERING = (
    sa.select(sa.func.count())
    .select_from(_latest)
    .join(_now, _now.c.id == _latest.c.id)
    .join(_before, _before.c.id == _previous)
    .where(_now.c.text != _before.c.text)
)
_DIFFERENCES = (
    _DIFFERING.with_only_columns(
        job_images.c.locator,
        prompts.c.question,
        jobs.c.model,
        _before.c.text.label("before"),
        _now.c.text.label("now"),
    )
    .join(jobs, jobs.c.id == _latest.c.job_id)
    .join(prompts, prompts.c.id == jobs.c.prompt_id)
    .join(job_images, _first)
    .order_by(_now.c.id)
    .limit(sa.bindparam("most", type_=sa.Integer))
)


def changes(connection: sa.Connection, since: float, most: int) -> Changes:
    """What is different since then; `most` answers that differ are shown."""
    first = _first_id(connection, since)
    given = {"since": since, "first": first, "week": _first_id(connection, since - WEEK_S), "most": most}
    new = connection.execute(_ANSWERS, given).all()
    failures: dict[str, int] = {}
    for query in (_FAILURES, _BAD_ROWS):
        for code, count in connection.execute(query, given):
            failures[code] = failures.get(code, 0) + count
    return Changes(
        since=since,
        answers={model: count for model, count, _ in new},
        copied=sum(copied for _, _, copied in new),
        failures=dict(sorted(failures.items())),
        waiting=connection.execute(_WAITING).scalar_one(),
        failed=connection.execute(_FAILED).scalar_one(),
        slower=_slower(connection, given),
        differing=connection.execute(_DIFFERING, given).scalar_one(),
        differences=tuple(_difference(row) for row in connection.execute(_DIFFERENCES, given)),
    )


def _first_id(connection: sa.Connection, since: float) -> int:
    """The first answer since then; one that is not there yet when there is none."""
    found: int | None = connection.execute(_FIRST_ID, {"since": since}).scalar_one()
    if found is not None:
        return found
    last: int | None = connection.execute(sa.select(sa.func.max(answers.c.id))).scalar_one()
    return (last or 0) + 1


def _slower(connection: sa.Connection, given: Mapping[str, float]) -> tuple[Slowdown, ...]:
    """Each machine is compared with itself: same device, same build."""
    speeds: dict[tuple[str, str, str, bytes], dict[int, float]] = {}
    for row in connection.execute(_SPEEDS, given):
        if row.many >= ENOUGH:
            speeds.setdefault((row.host, row.device, row.family, bytes(row.digest)), {})[row.new] = row.seconds
    return tuple(
        Slowdown(host=host, device=device, family=family, build=digest.hex()[:8], before_s=of[0], now_s=of[1])
        for (host, device, family, digest), of in speeds.items()
        if len(of) == 2 and of[1] > of[0] * SLOWER
    )


def _difference(row: sa.Row[str, str, str, str, str]) -> Difference:
    picture = locators.display(row.locator)
    return Difference(picture=picture, question=row.question, model=row.model, before=row.before, now=row.now)
