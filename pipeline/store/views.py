"""All reading for people: how things stand, and rows to list or to export.

Nothing here is collected: rows come in pages, each read in a transaction of its own, so that a long
listing holds no snapshot open (SQLite's write-ahead log could not shrink meanwhile). The next page
starts after the last key, never at an offset.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import sqlalchemy as sa

from pipeline.errors import AliasUnknown, BatchUnknown, JobUnknown, WorkerUnknown
from pipeline.jobs import LARGEST_ID, BatchState, Lane, State
from pipeline.owner import Owner
from pipeline.store import activity, following, gather, health, pace
from pipeline.store.activity import LANE_NAMES
from pipeline.store.current import current
from pipeline.store.dialects import likely
from pipeline.store.fields import Filter, conditions, names
from pipeline.store.following import Mark
from pipeline.store.leases import leased
from pipeline.store.pace import Pace
from pipeline.store.rows import (
    Activity,
    AnswerRow,
    BatchHead,
    BatchRow,
    HealthRow,
    HistoryRow,
    ItemRow,
    JobRow,
    ModelRow,
    Status,
    WorkerRow,
    WorkerState,
)
from pipeline.store.searching import matches
from pipeline.store.values import Counts
from pipeline.tables import aliases, answer_words, answers, batch_items, batches, builds, jobs, prompts, workers
from pipeline.words import Search

if TYPE_CHECKING:
    from pipeline.store.changes import Changes

K = TypeVar("K")
R = TypeVar("R")
Where = Iterable[str | Filter]
Conditions = Sequence[sa.ColumnElement[bool]]
Page = Callable[[sa.Connection, "K | None", int], list[tuple[K, R]]]
"""(connection, last key seen, how many) -> rows with their keys"""

PAGE = 500
SMALL = 10_000
"""items of a batch whose answers are looked up one by one"""
HAVE_ENDED = (State.DONE, State.FAILED, State.CANCELLED)
# Spelled out, not bound: only so do the partial indexes on jobs.state apply.
FAILED = jobs.c.state == sa.literal_column(f"'{State.FAILED}'")


class Readable(Protocol):
    """What views need of a store."""

    def reading(self) -> AbstractContextManager[sa.Connection]: ...

    def now(self, connection: sa.Connection) -> float: ...


class Views:
    """The reading side of a store."""

    def __init__(self, store: Readable) -> None:
        self._store = store

    def progress(self, batch_id: int) -> Counts:
        """How a batch's items stand."""
        with self._store.reading() as connection:
            return _counts(connection, batch_id)

    def status(self) -> Status:
        """How everything stands."""
        with self._store.reading() as connection:
            return _status(connection, self._store.now(connection))

    def activity(self) -> Activity:
        """What goes on right now, quick enough to be looked at every second."""
        with self._store.reading() as connection:
            return activity.activity(connection, self._store.now(connection))

    def changes(self, since: float, most: int | None) -> Changes:
        """What is different since then; of the answers that differ at most so many, or all."""
        from pipeline.store.changes import EVERY, changes

        with self._store.reading() as connection:
            return changes(connection, since, EVERY if most is None else most)

    def batch_head(self, name: str) -> BatchHead:
        """One batch, without counting its items. Raises BatchUnknown."""
        with self._store.reading() as connection:
            row = _named(connection, name)
        return BatchHead(id=row.id, name=row.name, state=BatchState(row.state), finished=row.finished)

    def batch_state(self, batch_id: int) -> BatchState:
        """Where a batch stands."""
        with self._store.reading() as connection:
            query = sa.select(batches.c.state).where(batches.c.id == batch_id)
            return BatchState(connection.execute(query).scalar_one())

    def batch(self, name: str) -> BatchRow:
        """One batch. Raises BatchUnknown."""
        with self._store.reading() as connection:
            return _batch_row(connection, _named(connection, name))

    def batches(self, limit: int | None = None) -> Iterator[BatchRow]:
        """Batches, newest first."""
        query = sa.select(batches).order_by(batches.c.id.desc())

        def page(connection: sa.Connection, last: int | None, size: int) -> list[tuple[int, BatchRow]]:
            found = connection.execute(_before(query, batches.c.id, last).limit(size))
            return [(row.id, _batch_row(connection, row)) for row in found.all()]

        return self._pages(page, limit)

    def models(self) -> Iterator[ModelRow]:
        """The aliases that jobs name, with their builds."""
        with self._store.reading() as connection:
            rows = _models(connection)
        return iter(rows)

    def model(self, alias: str) -> ModelRow:
        """One alias. Raises AliasUnknown."""
        with self._store.reading() as connection:
            found = _models(connection, aliases.c.alias == alias)
        if not found:
            raise AliasUnknown(name=alias)
        return found[0]

    def working_in(self, path: str) -> tuple[WorkerRow, ...]:
        """The workers whose lease runs and whose build is in that directory."""
        there = sa.select(builds.c.id).where(builds.c.path == path)
        with self._store.reading() as connection:
            return _alive(connection, self._store.now(connection), workers.c.build_id.in_(there))

    def pace(self, model: str) -> Pace | None:
        """How quickly a model answered of late; none when it has answered nothing yet."""
        with self._store.reading() as connection:
            return pace.pace(connection, model)

    def workers(self) -> tuple[WorkerRow, ...]:
        """The workers that have not ended, also those whose lease is over."""
        with self._store.reading() as connection:
            return leased(connection, self._store.now(connection))

    def worker(self, name: str) -> WorkerRow:
        """A worker that has not ended, by its number or its owner. Raises WorkerUnknown."""
        for row in self.workers():
            if name in (str(row.id), row.owner):
                return row
        raise WorkerUnknown(name=name)

    def health(self, me: Owner, *, within_s: float, lanes: Collection[Lane] = tuple(Lane)) -> tuple[HealthRow, ...]:
        """How the workers that run where `me` does get on; idle for longer than that, they are asked why."""
        with self._store.reading() as connection:
            return health.health(connection, me, self._store.now(connection), within_s=within_s, lanes=lanes)

    def job(self, id: int) -> JobRow:
        """Everything about one job. Raises JobUnknown."""
        with self._store.reading() as connection:
            return _job_row(connection, id)

    def history(self, id: int) -> tuple[HistoryRow, ...]:
        """A job's answers, newest first, with what people said about them. Raises JobUnknown."""
        with self._store.reading() as connection:
            job = _job_row(connection, id)
            said = gather.history(connection, [answer.id for answer in job.answers])
        return tuple(
            HistoryRow(current=answer.id == job.current, answer=answer, reviews=said.get(answer.id, ()))
            for answer in job.answers
        )

    def answers(
        self,
        containing: str | None = None,
        *,
        batch: str | None = None,
        model: str | None = None,
        where: Where = (),
        history: bool = False,
        limit: int | None = None,
        after: int | None = None,
    ) -> Iterator[AnswerRow]:
        """Answers, newest first; without `history` only each job's current one. `after` is the last id seen.

        `containing` is a search, as `pipeline.words` reads it, in the text as it counts.
        """
        batch_id = None if batch is None else self._batch_id(batch)
        asked = conditions(where, names(batch_id))
        if not history:
            asked.append(likely(answers.c.id == current(answers.c.job_id)))
        if model is not None:
            asked.append(jobs.c.model == model)
        if batch_id is not None:
            asked.append(self._wanted_by(batch_id))
        start = answers.join(jobs, jobs.c.id == answers.c.job_id)
        key: sa.ColumnElement[int] = answers.c.id
        if containing is not None:
            # By the index's own key, in whose order SQLite gives what it finds.
            start, key = start.join(answer_words, answer_words.c.rowid == answers.c.id), answer_words.c.rowid
            asked.append(matches(Search.parse(containing)))
        start = start.join(prompts, prompts.c.id == jobs.c.prompt_id)
        query = sa.select(answers.c.id).select_from(start).where(*asked).order_by(key.desc())

        def page(connection: sa.Connection, last: int | None, size: int) -> list[tuple[int, AnswerRow]]:
            ids = connection.scalars(_before(query, key, last).limit(size)).all()
            found = gather.answers_by_id(connection, ids)
            return [(id, found[id]) for id in ids]

        return self._pages(page, limit, after)

    def failed(
        self,
        *,
        batch: str | None = None,
        code: str | None = None,
        where: Where = (),
        limit: int | None = None,
    ) -> Iterator[ItemRow]:
        """Failed jobs, newest first; or the failed items of a batch, in the order of its input."""
        asked = conditions(where, names() if batch is None else None)
        if batch is None:
            with_code = [] if code is None else [jobs.c.error_code == code]
            return self._jobs([FAILED, *with_code, *asked], limit, newest_first=True)
        with_code = [] if code is None else [sa.func.coalesce(jobs.c.error_code, batch_items.c.error_code) == code]
        return self._items(batch, [sa.or_(FAILED, jobs.c.id.is_(None)), *with_code, *asked], limit)

    def items(self, batch: str | None = None, *, where: Where = (), limit: int | None = None) -> Iterator[ItemRow]:
        """The items of a batch in the order of its input, or all jobs, each with its current answer or failure."""
        asked = conditions(where, names() if batch is None else None)
        return self._jobs(asked, limit) if batch is None else self._items(batch, asked, limit)

    def count(self, batch: str | None = None) -> int:
        """How many `items` there are without further conditions."""
        query = sa.select(sa.func.count()).select_from(jobs if batch is None else batch_items)
        if batch is not None:
            query = query.where(batch_items.c.batch_id == self._batch_id(batch))
        with self._store.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def ended(self, batch: str, *, where: Where = ()) -> Iterator[tuple[int, State]]:
        """The jobs of a batch that have ended and how, in the order of its input; one of several items comes often."""
        place = (batch_items.c.row_no, batch_items.c.ask_no)
        start = batch_items.join(jobs, jobs.c.id == batch_items.c.job_id)
        query = (
            _with_answers(sa.select(*place, jobs.c.id, jobs.c.state), start)
            .where(batch_items.c.batch_id == self._batch_id(batch), jobs.c.state.in_(HAVE_ENDED), *conditions(where))
            .order_by(*place)
        )

        def page(
            connection: sa.Connection, last: tuple[int, int] | None, size: int
        ) -> list[tuple[tuple[int, int], tuple[int, State]]]:
            found = connection.execute(_behind(query, sa.tuple_(*place), last).limit(size))
            return [((row.row_no, row.ask_no), (row.id, State(row.state))) for row in found]

        return self._pages(page, None)

    def of_rows(self, batch_id: int, rows: Collection[int]) -> list[ItemRow]:
        """All items of these rows of a batch, in its order."""
        query = _items_of(batch_id).where(batch_items.c.row_no.in_(rows))
        with self._store.reading() as connection:
            name = connection.execute(sa.select(batches.c.name).where(batches.c.id == batch_id)).scalar_one_or_none()
            found = connection.execute(query.order_by(batch_items.c.row_no, batch_items.c.ask_no)).all()
            return gather.items(connection, found, name)

    def ended_since(self, batch: str, mark: Mark, end: int | None = None) -> tuple[list[ItemRow], Mark]:
        """Items that have ended since the mark was set, some at a time, and the mark for the next look.

        When there are none and the mark stays the same, all that has ended was seen. Rows from `end` on are left
        out. An item that is asked again is not looked for a second time.
        """
        id = self._batch_id(batch)
        with self._store.reading() as connection:
            places, mark = following.ended(connection, id, mark, end)
            items = gather.items(connection, _items_at(connection, id, places), batch)
        # Between two statements on PostgreSQL a person may have had it asked again.
        has_ended = [item for item in items if item.state in HAVE_ENDED]
        again = set(places).difference((item.row, item.ask) for item in has_ended)
        return has_ended, following.with_open(mark, again)

    def _wanted_by(self, id: int) -> sa.ColumnElement[bool]:
        """For answers: of a small batch they are looked up, among those of a large one the newest are near.

        Over a million answers the wrong one of the two costs 1.2 s for a page, the right one milliseconds.
        """
        of_batch = batch_items.c.batch_id == id
        some = sa.select(sa.literal(1)).select_from(batch_items).where(of_batch).limit(SMALL + 1).subquery()
        with self._store.reading() as connection:
            size = connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()
        if size > SMALL:
            # As a range, so that SQLite looks the job up: by `=` it read through the batch, 1.4 s of a million.
            return sa.exists().where(batch_items.c.job_id == answers.c.job_id, batch_items.c.batch_id.between(id, id))
        return answers.c.job_id.in_(sa.select(batch_items.c.job_id).where(of_batch))

    def _batch_id(self, name: str) -> int:
        with self._store.reading() as connection:
            return int(_named(connection, name).id)

    def _jobs(self, asked: Conditions, limit: int | None, *, newest_first: bool = False) -> Iterator[ItemRow]:
        query = _with_answers(sa.select(*gather.ITEM), jobs).where(*asked)
        query = query.order_by(jobs.c.id.desc() if newest_first else jobs.c.id)
        onward = _before if newest_first else _behind

        def page(connection: sa.Connection, last: int | None, size: int) -> list[tuple[int, ItemRow]]:
            found = connection.execute(onward(query, jobs.c.id, last).limit(size)).all()
            return [(row.job, row) for row in gather.items(connection, found) if row.job is not None]

        return self._pages(page, limit)

    def _items(self, batch: str, asked: Conditions, limit: int | None) -> Iterator[ItemRow]:
        place = (batch_items.c.row_no, batch_items.c.ask_no)
        query = _items_of(self._batch_id(batch)).where(*asked).order_by(*place)

        def page(
            connection: sa.Connection, last: tuple[int, int] | None, size: int
        ) -> list[tuple[tuple[int, int], ItemRow]]:
            found = connection.execute(_behind(query, sa.tuple_(*place), last).limit(size)).all()
            places = [(row.row_no, row.ask_no) for row in found]
            return list(zip(places, gather.items(connection, found, batch), strict=True))

        return self._pages(page, limit)

    def _pages(self, page: Page[K, R], limit: int | None, after: K | None = None) -> Iterator[R]:
        left = limit
        while left is None or left > 0:
            size = PAGE if left is None else min(left, PAGE)
            with self._store.reading() as connection:
                rows = page(connection, after, size)
            yield from (row for _, row in rows)
            if len(rows) < size:
                return
            after = rows[-1][0]
            left = None if left is None else left - size


def _before(query: sa.Select[Any], key: sa.ColumnElement[Any], last: Any) -> sa.Select[Any]:
    return query if last is None else query.where(key < last)


def _behind(query: sa.Select[Any], key: sa.ColumnElement[Any], last: Any) -> sa.Select[Any]:
    return query if last is None else query.where(key > last)


def _with_answers(query: sa.Select[Any], start: sa.FromClause) -> sa.Select[Any]:
    """The query over `start` (with `jobs` in it), each job's prompt and its current answer, if any."""
    asked = start.outerjoin(prompts, prompts.c.id == jobs.c.prompt_id)
    return query.select_from(asked.outerjoin(answers, answers.c.id == current(jobs.c.id)))


def _items_of(batch_id: int) -> sa.Select[Any]:
    """A batch's items, each with its job's current answer."""
    columns = (
        batch_items.c.row_no,
        batch_items.c.ask_no,
        batch_items.c.custom_id,
        batch_items.c.columns,
        batch_items.c.name,
        batch_items.c.error_code.label("item_error_code"),
        batch_items.c.error.label("item_error"),
        *gather.ITEM,
    )
    start = batch_items.outerjoin(jobs, jobs.c.id == batch_items.c.job_id)
    return _with_answers(sa.select(*columns), start).where(batch_items.c.batch_id == batch_id)


def _items_at(connection: sa.Connection, batch_id: int, places: Collection[tuple[int, int]]) -> list[sa.Row[Any]]:
    if not places:
        return []
    query = _items_of(batch_id).where(batch_items.c.row_no.in_({row for row, _ in places}))
    query = query.order_by(batch_items.c.row_no, batch_items.c.ask_no)
    wanted = set(places)
    return [row for row in connection.execute(query) if (row.row_no, row.ask_no) in wanted]


def _named(connection: sa.Connection, name: str) -> sa.Row[Any]:
    found = connection.execute(sa.select(batches).where(batches.c.name == name)).one_or_none()
    if found is None:
        raise BatchUnknown(name=name)
    return found


def _counts(connection: sa.Connection, batch_id: int) -> Counts:
    state = sa.func.coalesce(jobs.c.state, str(State.FAILED))
    query = (
        sa.select(state, sa.func.count())
        .select_from(batch_items.outerjoin(jobs, jobs.c.id == batch_items.c.job_id))
        .where(batch_items.c.batch_id == batch_id)
        .group_by(state)
    )
    by_state = _tallied(connection, query)
    return Counts(total=sum(by_state.values()), **by_state)


def _codes(connection: sa.Connection, batch_id: int) -> dict[str, int]:
    code = sa.func.coalesce(jobs.c.error_code, batch_items.c.error_code)
    query = (
        sa.select(code, sa.func.count())
        .select_from(batch_items.outerjoin(jobs, jobs.c.id == batch_items.c.job_id))
        .where(batch_items.c.batch_id == batch_id, sa.or_(FAILED, jobs.c.id.is_(None)))
        .group_by(code)
        .order_by(sa.func.count().desc(), code)
    )
    return _tallied(connection, query)


def _batch_row(connection: sa.Connection, row: sa.Row[Any]) -> BatchRow:
    counts = _counts(connection, row.id)
    return BatchRow(
        id=row.id,
        name=row.name,
        origin=row.origin,
        state=BatchState(row.state),
        lane=LANE_NAMES[row.lane],
        spec=row.spec,
        deadline=row.deadline,
        window=row.window,
        created=row.created,
        finished=row.finished,
        counts=counts,
        errors=_codes(connection, row.id) if counts.failed else {},
    )


def _job_row(connection: sa.Connection, id: int) -> JobRow:
    query = sa.select(jobs, current(jobs.c.id).label("current_answer")).where(jobs.c.id == id)
    row = connection.execute(query).one_or_none() if abs(id) <= LARGEST_ID else None
    if row is None:
        raise JobUnknown(id=id)
    question, prompt = gather.asked_by_id(connection, [row.prompt_id])[row.prompt_id]
    names = sa.select(batches.c.name).distinct().join(batch_items).where(batch_items.c.job_id == id)
    ids = connection.scalars(sa.select(answers.c.id).where(answers.c.job_id == id).order_by(answers.c.id.desc())).all()
    found = gather.answers_by_id(connection, ids)
    return JobRow(
        id=row.id,
        state=State(row.state),
        model=row.model,
        device_class=row.device_class,
        lane=LANE_NAMES[row.lane],
        attempts=row.attempts,
        crashes=row.crashes,
        fresh=row.fresh,
        source_changed=row.source_changed,
        error_code=row.error_code,
        error=row.error,
        run_after=row.run_after,
        created=row.created,
        updated=row.updated,
        batches=tuple(connection.scalars(names.order_by(batches.c.name))),
        pictures=gather.pictures(connection, [id]).get(id, ()),
        question=question,
        prompt=prompt,
        current=row.current_answer,
        answers=tuple(found[id] for id in ids),
    )


def _models(connection: sa.Connection, *asked: sa.ColumnElement[bool]) -> list[ModelRow]:
    given = sa.select(answers.c.build_id, sa.func.count().label("given")).group_by(answers.c.build_id).subquery()
    query = (
        sa.select(aliases.c.alias, aliases.c.updated, builds, sa.func.coalesce(given.c.given, 0).label("given"))
        .join(builds, builds.c.id == aliases.c.build_id)
        .outerjoin(given, given.c.build_id == builds.c.id)
        .where(*asked)
        .order_by(aliases.c.alias)
    )
    return [
        ModelRow(alias=row.alias, build=gather.build(row), answers=row.given, updated=row.updated)
        for row in connection.execute(query)
    ]


def _status(connection: sa.Connection, now: float) -> Status:
    cached = sa.select(sa.func.count()).select_from(answers).where(answers.c.cached_from.is_not(None))
    return Status(
        jobs=_by_state(connection, jobs, State),
        batches=_by_state(connection, batches, BatchState),
        workers=_alive(connection, now),
        answers=connection.execute(sa.select(sa.func.count()).select_from(answers)).scalar_one(),
        cached=connection.execute(cached).scalar_one(),
    )


def _by_state(connection: sa.Connection, table: sa.Table, states: Iterable[str]) -> dict[str, int]:
    query = sa.select(table.c.state, sa.func.count()).group_by(table.c.state)
    found = _tallied(connection, query)
    return {str(state): found.get(state, 0) for state in states}


def _tallied(connection: sa.Connection, query: sa.Executable) -> dict[str, int]:
    return {row[0]: row[1] for row in connection.execute(query)}


def _alive(connection: sa.Connection, now: float, *asked: sa.ColumnElement[bool]) -> tuple[WorkerRow, ...]:
    """The workers whose lease runs."""
    return tuple(row for row in leased(connection, now, *asked) if row.state is not WorkerState.LEASE_OVER)
