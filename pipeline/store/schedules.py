"""Schedules: commands that clocks start, each time once whoever looks, and how that went.

    firing:  waiting -> running -> done | failed
             skipped (the last one still ran) | missed (nobody looked in time)

Each arrow is one conditional UPDATE: of any number of programs that try, one succeeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from pipeline.errors import ScheduleTaken, ScheduleUnknown
from pipeline.schedules.rule import Missed, Overlap, Rule
from pipeline.store.dialects import insert, plain
from pipeline.store.wanted import UNFINISHED
from pipeline.tables import batch_items, batches, firings, schedules

SILENT_S = 60.0
"""a process that was not heard of for so long has ended"""
TRIES = 3
"""processes that may end in the middle of one firing"""
UNSEEN_S = 60.0
"""how long programs that see the folders are given before a firing fails because nobody does"""


class Outcome(StrEnum):
    """How a firing stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    MISSED = "missed"


BUSY = (Outcome.WAITING, Outcome.RUNNING)


@dataclass(frozen=True, kw_only=True, slots=True)
class FiringRow:
    """One time that a schedule fired."""

    id: int
    schedule: str
    due: float
    fired: float | None
    outcome: Outcome
    detail: str | None
    found: int | None
    batch: str | None
    batch_state: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleRow:
    """A schedule, with when it fires next and how it last went."""

    name: str
    state: str
    rule: Mapping[str, Any]
    spec: Mapping[str, Any]
    next: tuple[float, ...]
    last: FiringRow | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """A firing that somebody may begin."""

    id: int
    schedule: str
    since: float
    spec: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """A firing that this process has begun."""

    id: int
    schedule: str
    due: float
    spec: Mapping[str, Any]


_FIRINGS = (
    sa.select(firings, schedules.c.name, batches.c.name.label("batch"), batches.c.state.label("batch_state"))
    .join(schedules, schedules.c.id == firings.c.schedule_id)
    .outerjoin(batches, batches.c.id == firings.c.batch_id)
    .order_by(firings.c.due.desc(), firings.c.id.desc())
)
_DUE = sa.select(schedules).where(schedules.c.state == "active", schedules.c.next_fire <= sa.bindparam("now"))
_WAITING = (
    sa.select(firings.c.id, firings.c.schedule_id, firings.c.alive, schedules.c.name, schedules.c.spec)
    .join(schedules, schedules.c.id == firings.c.schedule_id)
    .where(firings.c.outcome == Outcome.WAITING)
    .order_by(firings.c.due, firings.c.id)
)
_SILENT = sa.select(firings).where(firings.c.outcome == Outcome.RUNNING, firings.c.alive <= sa.bindparam("since"))

Writing = Callable[[], AbstractContextManager[tuple[sa.Connection, float]]]


class Schedules:
    """The schedules of a store. Each method is one transaction."""

    def __init__(
        self,
        reading: Callable[[], AbstractContextManager[sa.Connection]],
        writing: Writing,
        clock: Callable[[sa.Connection], float],
    ) -> None:
        self._reading, self._writing, self._clock = reading, writing, clock

    # --- as people ask ---------------------------------------------------------------------------

    def add(self, name: str, rule: Rule, spec: Mapping[str, Any]) -> None:
        """A new schedule, which fires from now on. Raises ScheduleTaken."""
        with self._writing() as (connection, now):
            row = {"name": name, "spec": spec, "rule": rule.stored(), "state": "active", "created": now}
            made = insert(connection, schedules).values(next_fire=rule.after(now), **row)
            if connection.execute(made.on_conflict_do_nothing().returning(schedules.c.id)).one_or_none() is None:
                raise ScheduleTaken(name=name)

    def remove(self, name: str) -> None:
        """Forget a schedule and its history; its batches stay. Raises ScheduleUnknown."""
        with self._writing() as (connection, _):
            connection.execute(schedules.delete().where(schedules.c.id == _named(connection, name).id))

    def pause(self, name: str) -> bool:
        """Fire no more. False when it is paused already."""
        with self._writing() as (connection, _):
            row = _named(connection, name)
            change = schedules.update().where(schedules.c.id == row.id, schedules.c.state == "active")
            return bool(connection.execute(change.values(state="paused", next_fire=None)).rowcount)

    def resume(self, name: str) -> bool:
        """Fire again; the times of the pause are not made up for. False when it is not paused."""
        with self._writing() as (connection, now):
            row = _named(connection, name)
            change = schedules.update().where(schedules.c.id == row.id, schedules.c.state == "paused")
            following = Rule.from_stored(row.rule).after(now)
            return bool(connection.execute(change.values(state="active", next_fire=following)).rowcount)

    def run_now(self, name: str) -> int:
        """Let it fire once, besides its times. Returns which firing that is."""
        with self._writing() as (connection, now):
            return _fire(connection, _named(connection, name).id, now, now, Outcome.WAITING) or 0

    def rows(self, upcoming: int = 3) -> list[ScheduleRow]:
        """All of them, by name."""
        with self._reading() as connection:
            now = self._clock(connection)
            found = connection.execute(sa.select(schedules).order_by(schedules.c.name)).all()
            return [_row(connection, row, now, upcoming) for row in found]

    def history(self, name: str, limit: int | None = None) -> list[FiringRow]:
        """How a schedule went, newest first. Raises ScheduleUnknown."""
        with self._reading() as connection:
            mine = _FIRINGS.where(firings.c.schedule_id == _named(connection, name).id).limit(limit)
            return [_firing(row) for row in connection.execute(mine)]

    # --- as programs look after them ----------------------------------------------------------------

    def fire(self) -> list[int]:
        """Note the firings that are due, and take note of processes that have ended. Returns the new firings."""
        # Asked first without writing: this is called every second and rarely finds anything.
        with self._reading() as connection:
            now = self._clock(connection)
            due = connection.execute(_DUE, {"now": now}).all()
            silent = connection.execute(_SILENT, {"since": now - SILENT_S}).all()
        for row in silent:
            self._take_back(row)
        return [id for row in due if (id := self._fire(row))]

    def _fire(self, row: sa.Row[Any]) -> int | None:
        """One due time, if nobody else was quicker: its time is compared and moved on in one statement."""
        rule = Rule.from_stored(row.rule)
        with self._writing() as (connection, now):
            missed = row.next_fire < now - rule.grace_s and rule.missed is Missed.SKIP
            following = rule.after(now - rule.grace_s if missed else now)
            mine = sa.and_(schedules.c.id == row.id, schedules.c.next_fire == row.next_fire)
            mine = sa.and_(mine, schedules.c.state == "active")
            if not connection.execute(schedules.update().where(mine).values(next_fire=following)).rowcount:
                return None
            outcome, detail = _fate(connection, row.id, rule, missed=missed)
            return _fire(connection, row.id, row.next_fire, now, outcome, detail)

    def _take_back(self, row: sa.Row[Any]) -> None:
        """The process of a firing has ended in the middle: it is begun again, a few times."""
        why = "The process that ran it ended before it was done, several times."
        fate = {"outcome": Outcome.WAITING} if row.tries < TRIES else {"outcome": Outcome.FAILED, "detail": why}
        same = sa.and_(firings.c.id == row.id, firings.c.alive == row.alive, firings.c.outcome == Outcome.RUNNING)
        with self._writing() as (connection, now):
            connection.execute(firings.update().where(same).values(alive=now, **fate))

    def waiting(self) -> list[Waiting]:
        """The firings that could begin: the first of each schedule of which none is at work."""
        with self._reading() as connection:
            found: dict[int, Waiting] = {}
            for row in connection.execute(_WAITING).all():
                if row.schedule_id not in found and not _at_work(connection, row.schedule_id):
                    found[row.schedule_id] = Waiting(id=row.id, schedule=row.name, since=row.alive, spec=row.spec)
            return list(found.values())

    def take(self, id: int) -> bool:
        """Whether the firing is this program's to begin: of all who ask, one is told so."""
        with self._writing() as (connection, now):
            mine = sa.and_(firings.c.id == id, firings.c.outcome == Outcome.WAITING)
            begun = {"outcome": Outcome.RUNNING, "fired": now, "alive": now, "tries": firings.c.tries + 1}
            return bool(connection.execute(firings.update().where(mine).values(begun)).rowcount)

    def unseen(self, id: int, why: str) -> bool:
        """Nobody sees what the firing is about: it fails once those who might had their time. Whether it did."""
        with self._writing() as (connection, now):
            late = sa.and_(firings.c.outcome == Outcome.WAITING, firings.c.alive <= now - UNSEEN_S)
            change = firings.update().where(firings.c.id == id, late).values(outcome=Outcome.FAILED, detail=why)
            return bool(connection.execute(change).rowcount)

    # --- as the process of a firing -----------------------------------------------------------------

    def begun(self, id: int) -> Begun | None:
        """A firing that was begun, with what it is to do."""
        query = sa.select(firings.c.due, schedules.c.name, schedules.c.spec)
        query = query.join(schedules, schedules.c.id == firings.c.schedule_id)
        with self._reading() as connection:
            row = connection.execute(
                query.where(firings.c.id == id, firings.c.outcome == Outcome.RUNNING)
            ).one_or_none()
        return None if row is None else Begun(id=id, schedule=row.name, due=row.due, spec=row.spec)

    def alive(self, id: int) -> None:
        """The firing's process is at work still."""
        with self._writing() as (connection, now):
            connection.execute(_running(id).values(alive=now))

    def end(self, id: int, outcome: Outcome, detail: str, batch: str | None) -> Outcome:
        """How the firing went. None found where there were some before is a failure, whatever the command thought."""
        with self._writing() as (connection, _):
            batch_id = connection.execute(sa.select(batches.c.id).where(batches.c.name == batch)).scalar()
            found = None if batch_id is None else _rows_of(connection, batch_id)
            if outcome is Outcome.DONE and found == 0 and (before := _found_before(connection, id)):
                outcome, detail = (
                    Outcome.FAILED,
                    f"Found 0, where there were {before:,} the last time. {detail}".strip(),
                )
            how = {"outcome": outcome, "detail": plain(detail), "batch_id": batch_id, "found": found}
            connection.execute(_running(id).values(how))
            return outcome


def _running(id: int) -> sa.Update:
    return firings.update().where(firings.c.id == id, firings.c.outcome == Outcome.RUNNING)


def _named(connection: sa.Connection, name: str) -> sa.Row[Any]:
    row = connection.execute(sa.select(schedules).where(schedules.c.name == name)).one_or_none()
    if row is None:
        raise ScheduleUnknown(name=name)
    return row


def _fate(connection: sa.Connection, schedule: int, rule: Rule, *, missed: bool) -> tuple[Outcome, str | None]:
    """What becomes of a time that has come."""
    if missed:
        return Outcome.MISSED, "No program looked after schedules at that time."
    ahead = connection.execute(
        sa.select(sa.func.count()).where(firings.c.schedule_id == schedule, firings.c.outcome == Outcome.WAITING)
    ).scalar_one()
    if rule.overlap is Overlap.SKIP and (ahead or _at_work(connection, schedule)):
        return Outcome.SKIPPED, "The one before was not done."
    return (Outcome.SKIPPED, "Another one waits already.") if ahead else (Outcome.WAITING, None)


def _fire(
    connection: sa.Connection, schedule: int, due: float, now: float, outcome: Outcome, detail: str | None = None
) -> int | None:
    row = {"schedule_id": schedule, "due": due, "outcome": outcome, "detail": detail, "alive": now}
    made = insert(connection, firings).values(row).on_conflict_do_nothing().returning(firings.c.id)
    return connection.execute(made).scalar_one_or_none()


def _at_work(connection: sa.Connection, schedule: int) -> bool:
    """Whether a firing's command runs, or what it submitted is not answered yet."""
    unfinished = sa.and_(firings.c.batch_id == batches.c.id, batches.c.state.in_(UNFINISHED))
    busy = sa.or_(firings.c.outcome == Outcome.RUNNING, sa.exists().where(unfinished).correlate(firings))
    query = sa.select(firings.c.id).where(firings.c.schedule_id == schedule, busy).limit(1)
    return connection.execute(query).one_or_none() is not None


def _rows_of(connection: sa.Connection, batch: int) -> int:
    last = sa.select(sa.func.max(batch_items.c.row_no)).where(batch_items.c.batch_id == batch)
    found: int | None = connection.execute(last).scalar_one()
    return 0 if found is None else found + 1


def _found_before(connection: sa.Connection, id: int) -> int | None:
    """How many the schedule found when it last found any."""
    mine = sa.select(firings.c.schedule_id).where(firings.c.id == id).scalar_subquery()
    query = sa.select(firings.c.found).where(firings.c.schedule_id == mine, firings.c.found > 0)
    found: int | None = connection.execute(query.order_by(firings.c.due.desc()).limit(1)).scalar_one_or_none()
    return found


def _row(connection: sa.Connection, row: sa.Row[Any], now: float, upcoming: int) -> ScheduleRow:
    last = connection.execute(_FIRINGS.where(firings.c.schedule_id == row.id).limit(1)).one_or_none()
    return ScheduleRow(
        name=row.name,
        state=row.state,
        rule=row.rule,
        spec=row.spec,
        next=tuple(_next(row, now, upcoming)),
        last=None if last is None else _firing(last),
    )


def _next(row: sa.Row[Any], now: float, count: int) -> Iterator[float]:
    """The next times; a time that has come and waits to be fired is the first of them."""
    if row.next_fire is not None:
        times = Rule.from_stored(row.rule).times(max(now, row.next_fire))
        yield row.next_fire
        for _, time in zip(range(count - 1), times, strict=False):
            yield time


def _firing(row: sa.Row[Any]) -> FiringRow:
    return FiringRow(
        id=row.id,
        schedule=row.name,
        due=row.due,
        fired=row.fired,
        outcome=Outcome(row.outcome),
        detail=row.detail,
        found=row.found,
        batch=row.batch,
        batch_state=row.batch_state,
    )
