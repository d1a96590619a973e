"""Schedules: commands that clocks start, as people list and change them. What became of each time is a firing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

import sqlalchemy as sa

from pipeline.errors import ScheduleTaken, ScheduleUnknown, ScheduleUnread
from pipeline.schedules.rule import Rule
from pipeline.store.dialects import insert
from pipeline.store.firings import Outcome, at_work, enter
from pipeline.store.transactions import Part
from pipeline.tables import batches, firings, schedules


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


_FIRINGS = (
    sa.select(firings, schedules.c.name, batches.c.name.label("batch"), batches.c.state.label("batch_state"))
    .join(schedules, schedules.c.id == firings.c.schedule_id)
    .outerjoin(batches, batches.c.id == firings.c.batch_id)
    .order_by(firings.c.due.desc(), firings.c.id.desc())
)


class Schedules(Part):
    """The schedules of a store. Each method is one transaction."""

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
        """Fire no more; what only waits is left out. False when it is paused already."""
        with self._writing() as (connection, _):
            row = _named(connection, name)
            change = schedules.update().where(schedules.c.id == row.id, schedules.c.state == "active")
            paused = bool(connection.execute(change.values(state="paused", next_fire=None)).rowcount)
            if paused:
                left_out = {"outcome": Outcome.SKIPPED, "detail": "It was paused before its turn came."}
                mine = sa.and_(firings.c.schedule_id == row.id, firings.c.outcome == Outcome.WAITING)
                connection.execute(firings.update().where(mine).values(left_out))
            return paused

    def resume(self, name: str) -> bool:
        """Fire again; the times of the pause are not made up for. False when it is not paused."""
        with self._writing() as (connection, now):
            row = _named(connection, name)
            change = schedules.update().where(schedules.c.id == row.id, schedules.c.state == "paused")
            following = Rule.from_stored(name, row.rule).after(now)
            return bool(connection.execute(change.values(state="active", next_fire=following)).rowcount)

    def run_now(self, name: str) -> bool:
        """Let it fire once, besides its times. False when it waits until the last one is done."""
        with self._writing() as (connection, now):
            id = _named(connection, name).id
            enter(connection, id, now, now, Outcome.WAITING)
            return not at_work(connection, id)

    def rows(self, upcoming: int = 3) -> list[ScheduleRow]:
        """All of them, by name."""
        with self._reading() as connection:
            now = self._now(connection)
            found = connection.execute(sa.select(schedules).order_by(schedules.c.name)).all()
            return [_row(connection, row, now, upcoming) for row in found]

    def history(self, name: str, limit: int | None = None) -> list[FiringRow]:
        """How a schedule went, newest first. Raises ScheduleUnknown."""
        with self._reading() as connection:
            mine = _FIRINGS.where(firings.c.schedule_id == _named(connection, name).id).limit(limit)
            return [_firing(row) for row in connection.execute(mine)]


def _named(connection: sa.Connection, name: str) -> sa.Row[Any]:
    row = connection.execute(sa.select(schedules).where(schedules.c.name == name)).one_or_none()
    if row is None:
        raise ScheduleUnknown(name=name)
    return row


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
        yield row.next_fire
        with suppress(ScheduleUnread):  # who lists schedules may be older than who added one
            times = Rule.from_stored(row.name, row.rule).times(max(now, row.next_fire))
            yield from islice(times, count - 1)


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
