"""Firings: each time of a schedule once, whoever looks, and how that went.

    waiting -> running -> done | failed
    skipped (the last one still ran) | missed (nobody looked in time)

Each arrow is one conditional UPDATE: of any number of programs that try, one succeeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from pipeline.errors import ScheduleUnread
from pipeline.schedules.rule import Missed, Overlap, Rule
from pipeline.store.dialects import insert, plain
from pipeline.store.transactions import Part
from pipeline.store.wanted import UNFINISHED
from pipeline.tables import batch_items, batches, firings, schedules

SILENT_S = 60.0
"""a process that was not heard of for so long has ended"""
TRIES = 3
"""processes that may end in the middle of one firing"""


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
class Waiting:
    """A firing that somebody may begin."""

    id: int
    schedule: str
    spec: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """A firing that this process has begun."""

    id: int
    schedule: str
    due: float
    spec: Mapping[str, Any]


_DUE = sa.select(schedules).where(schedules.c.state == "active", schedules.c.next_fire <= sa.bindparam("now"))
_WAITING = (
    sa.select(firings.c.id, firings.c.schedule_id, schedules.c.name, schedules.c.spec)
    .join(schedules, schedules.c.id == firings.c.schedule_id)
    .where(firings.c.outcome == Outcome.WAITING)
    .order_by(firings.c.due, firings.c.id)
)
_SILENT = sa.select(firings).where(firings.c.outcome == Outcome.RUNNING, firings.c.alive <= sa.bindparam("since"))


class Firings(Part):
    """The firings of a store, as programs look after them. Each method is one transaction."""

    def fire(self) -> list[ScheduleUnread]:
        """Note the firings that are due, and take note of processes that have ended.

        Returns why this program leaves some to others.
        """
        # Asked first without writing: this is called every second and rarely finds anything.
        with self._reading() as connection:
            now = self._now(connection)
            due = connection.execute(_DUE, {"now": now}).all()
            silent = connection.execute(_SILENT, {"since": now - SILENT_S}).all()
        for row in silent:
            self._take_back(row)
        left: list[ScheduleUnread] = []
        for row in due:
            try:
                self._fire(row, Rule.from_stored(row.name, row.rule))
            except ScheduleUnread as error:
                left.append(error)
        return left

    def _fire(self, row: sa.Row[Any], rule: Rule) -> None:
        """One due time, if nobody else was quicker: its time is compared and moved on in one statement."""
        with self._writing() as (connection, now):
            missed = row.next_fire < now - rule.grace_s and rule.missed is Missed.SKIP
            following = rule.after(now - rule.grace_s if missed else now)
            mine = sa.and_(schedules.c.id == row.id, schedules.c.next_fire == row.next_fire)
            mine = sa.and_(mine, schedules.c.state == "active")
            if connection.execute(schedules.update().where(mine).values(next_fire=following)).rowcount:
                outcome, detail = _fate(connection, row.id, rule, missed=missed)
                enter(connection, row.id, row.next_fire, now, outcome, detail)

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
                if row.schedule_id not in found and not at_work(connection, row.schedule_id):
                    found[row.schedule_id] = Waiting(id=row.id, schedule=row.name, spec=row.spec)
            return list(found.values())

    def take(self, id: int) -> bool:
        """Whether the firing is this program's to begin: of all who ask, one is told so."""
        with self._writing() as (connection, now):
            mine = sa.and_(firings.c.id == id, firings.c.outcome == Outcome.WAITING)
            begun = {"outcome": Outcome.RUNNING, "fired": now, "alive": now, "tries": firings.c.tries + 1}
            return bool(connection.execute(firings.update().where(mine).values(begun)).rowcount)

    def give_up(self, id: int, why: str) -> bool:
        """The firing fails because nobody could begin it. False when somebody has."""
        with self._writing() as (connection, _):
            mine = sa.and_(firings.c.id == id, firings.c.outcome == Outcome.WAITING)
            change = firings.update().where(mine).values(outcome=Outcome.FAILED, detail=plain(why))
            return bool(connection.execute(change).rowcount)

    # --- by the process of one ------------------------------------------------------------------------

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

    def end(self, id: int, outcome: Outcome, detail: str, batch: str | None) -> tuple[Outcome, str]:
        """How the firing went. None found where there were some before is a failure, whatever the command thought.

        Returns what is kept.
        """
        with self._writing() as (connection, _):
            batch_id = connection.execute(sa.select(batches.c.id).where(batches.c.name == batch)).scalar()
            found = None if batch_id is None else _rows_of(connection, batch_id)
            if outcome is Outcome.DONE and found == 0 and (before := _found_before(connection, id)):
                outcome = Outcome.FAILED
                detail = f"Found 0, where there were {before:,} the last time. {detail}".strip()
            how = {"outcome": outcome, "detail": plain(detail), "batch_id": batch_id, "found": found}
            connection.execute(_running(id).values(how))
            return outcome, detail


def _running(id: int) -> sa.Update:
    return firings.update().where(firings.c.id == id, firings.c.outcome == Outcome.RUNNING)


def _fate(connection: sa.Connection, schedule: int, rule: Rule, *, missed: bool) -> tuple[Outcome, str | None]:
    """What becomes of a time that has come."""
    if missed:
        return Outcome.MISSED, "No program looked after schedules at that time."
    ahead = connection.execute(
        sa.select(sa.func.count()).where(firings.c.schedule_id == schedule, firings.c.outcome == Outcome.WAITING)
    ).scalar_one()
    if rule.overlap is Overlap.SKIP and (ahead or at_work(connection, schedule)):
        return Outcome.SKIPPED, "The one before was not done."
    return (Outcome.SKIPPED, "Another one waits already.") if ahead else (Outcome.WAITING, None)


def enter(
    connection: sa.Connection, schedule: int, due: float, now: float, outcome: Outcome, detail: str | None = None
) -> None:
    """Note a time that has come, and what becomes of it; once, whoever does."""
    row = {"schedule_id": schedule, "due": due, "outcome": outcome, "detail": detail, "alive": now}
    connection.execute(insert(connection, firings).values(row).on_conflict_do_nothing())


def at_work(connection: sa.Connection, schedule: int) -> bool:
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
