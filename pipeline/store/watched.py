"""Watched files: what a watcher knows of each, in SQL, so that a restart neither repeats nor forgets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Protocol

import sqlalchemy as sa

from pipeline.complaints import translated
from pipeline.jobs import BatchState
from pipeline.owner import Owner
from pipeline.store.dialects import insert
from pipeline.tables import batch_items, batches, watched_files, watches


class FileState(StrEnum):
    """Where a watched file stands."""

    WAITING = "waiting"
    """not taken yet: the reason says what for"""
    TAKEN = "taken"
    """asked about; not all answers are there"""
    DONE = "done"
    FAILED = "failed"
    GONE = "gone"
    """it went before it could be answered"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """A file as a look at its folder found it."""

    locator: str
    size: int
    mtime_ns: int
    drop: str
    """the folder it came in with"""


@dataclass(frozen=True, kw_only=True, slots=True)
class WatchedFile:
    """What is known of a file."""

    locator: str
    drop: str
    size: int
    mtime_ns: int
    state: FileState
    reason: str | None
    tries: int
    due: float | None
    since: float
    """when it was first seen as it is"""
    batch_id: int | None
    row_no: int | None
    updated: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Wait:
    """A file that is not ready: why, and when to look again."""

    locator: str
    size: int
    mtime_ns: int
    reason: str
    due: float
    tries: int
    since: float


@dataclass(frozen=True, kw_only=True, slots=True)
class WatchRow:
    """A watch, as people list it."""

    id: int
    name: str
    spec: Mapping[str, Any]
    running: bool
    owner: Mapping[str, Any] | None
    created: float
    files: Mapping[str, int]
    """by state"""


Fields = watched_files.c
Wanted = sa.ColumnElement[bool]
_FILE = tuple(Fields[name] for name in WatchedFile.__slots__)


class _Writing(Protocol):
    def __call__(self, *, alone: bool = False) -> AbstractContextManager[tuple[sa.Connection, float]]: ...


class Watches:
    """The watches of a database. The times of files are their watcher's own."""

    def __init__(
        self,
        engine: sa.Engine,
        reading: Callable[[], AbstractContextManager[sa.Connection]],
        writing: _Writing,
        now: Callable[[sa.Connection], float],
    ) -> None:
        self._engine, self._reading, self._writing, self._now = engine, reading, writing, now

    # --- who watches -----------------------------------------------------------------------------

    def open(self, name: str, spec: Mapping[str, Any], me: Owner, lease_s: float) -> int | Owner:
        """The watch of that name, which is `me`'s from now on; or who has it."""
        with self._writing(alone=True) as (connection, now):
            row = connection.execute(sa.select(watches).where(watches.c.name == name)).one_or_none()
            if row is None:
                values = {"name": name, "spec": spec, "owner": asdict(me), "lease_until": now + lease_s, "created": now}
                query = watches.insert().values(values).returning(watches.c.id)
                return int(connection.execute(query).scalar_one())
            if row.lease_until is not None and row.lease_until > now:
                holder = Owner(**row.owner)
                if holder != me and not holder.gone_for(me):
                    return holder
            values = {"spec": spec, "owner": asdict(me), "lease_until": now + lease_s}
            connection.execute(watches.update().where(watches.c.id == row.id).values(values))
            return int(row.id)

    def renew(self, id: int, me: Owner, lease_s: float) -> bool:
        """Say that the watcher lives. False when another has taken over."""
        with self._writing() as (connection, now):
            mine = self._is_mine(connection, id, me)
            if mine:
                connection.execute(watches.update().where(watches.c.id == id).values(lease_until=now + lease_s))
            return mine

    def leave(self, id: int, me: Owner) -> None:
        """The watch is free, unless another has taken it over."""
        with self._writing() as (connection, _):
            if self._is_mine(connection, id, me):
                connection.execute(watches.update().where(watches.c.id == id).values(owner=None, lease_until=None))

    def _is_mine(self, connection: sa.Connection, id: int, me: Owner) -> bool:
        owner = connection.execute(sa.select(watches.c.owner).where(watches.c.id == id)).scalar_one_or_none()
        return owner is not None and Owner(**owner) == me

    def rows(self) -> list[WatchRow]:
        """All watches, with how their files stand."""
        count = sa.select(Fields.watch_id, Fields.state, sa.func.count().label("n"))
        with self._reading() as connection:
            now = self._now(connection)
            by_state: dict[int, dict[str, int]] = {}
            for row in connection.execute(count.group_by(Fields.watch_id, Fields.state)):
                by_state.setdefault(row.watch_id, {})[row.state] = row.n
            found = connection.execute(sa.select(watches).order_by(watches.c.name)).all()
        me = Owner.current()
        return [
            WatchRow(
                id=row.id,
                name=row.name,
                spec=row.spec,
                running=row.lease_until is not None and row.lease_until > now and not Owner(**row.owner).gone_for(me),
                owner=row.owner,
                created=row.created,
                files=by_state.get(row.id, {}),
            )
            for row in found
        ]

    # --- what is seen ----------------------------------------------------------------------------

    def note(self, id: int, seen: Sequence[tuple[Seen, float]], *, now: float, again: bool, reason: str) -> int:
        """Files that are new, have changed or are there again wait until they are due. Returns how many.

        `again`: a file that is done should not be there any more, so it has come anew.
        """
        by_locator = {one.locator: (one, due) for one, due in seen}
        # Read before: nearly always nothing has changed, and only this watch's one watcher writes its rows.
        with self._reading() as connection:
            known = {row.locator: row for row in self._known(connection, id, list(by_locator))}
        changed = [
            self._row(id, one, due, now, reason)
            for locator, (one, due) in by_locator.items()
            if _has_come(known.get(locator), one, again=again)
        ]
        if changed:
            with self._writing() as (connection, _):
                made = insert(connection, watched_files)
                new = {name: made.excluded[name] for name in changed[0] if name not in ("watch_id", "locator")}
                known_too = made.on_conflict_do_update(index_elements=["watch_id", "locator"], set_=new)
                connection.execute(known_too, changed)
        return len(changed)

    def hasten(self, id: int, locators: Sequence[str], due: float) -> None:
        """Look at these again by then, if they wait."""
        mine = sa.and_(Fields.watch_id == id, Fields.state == FileState.WAITING, Fields.due > due)
        with self._writing() as (connection, _):
            connection.execute(watched_files.update().where(mine, Fields.locator.in_(locators)).values(due=due))

    def start_over(self, id: int, due: float, now: float) -> None:
        """At a watcher's start all that waits is watched anew: nobody knows what happened meanwhile."""
        mine = sa.and_(Fields.watch_id == id, Fields.state.in_([FileState.WAITING, FileState.TAKEN]))
        values = {"due": sa.case((Fields.state == FileState.WAITING, due), else_=None), "since": now, "tries": 0}
        with self._writing() as (connection, _):
            connection.execute(watched_files.update().where(mine).values(values))

    # --- what is taken ---------------------------------------------------------------------------

    def ready(self, id: int, *, now: float, limit: int) -> list[WatchedFile]:
        """Files that are due, of each drop in turn, so that a large one does not keep a small one waiting."""
        turn = sa.func.row_number().over(partition_by=Fields.drop, order_by=(Fields.due, Fields.locator))
        due = sa.and_(Fields.watch_id == id, Fields.state == FileState.WAITING, Fields.due <= now)
        ranked = sa.select(Fields.locator, turn.label("turn")).where(due).subquery()
        query = (
            sa.select(*_FILE)
            .join(ranked, ranked.c.locator == Fields.locator)
            .where(Fields.watch_id == id)
            .order_by(ranked.c.turn, Fields.due, Fields.locator)
            .limit(limit)
        )
        with self._reading() as connection:
            return list(_files(connection, query))

    def next_due(self, id: int) -> float | None:
        """When the next waiting file is due."""
        mine = sa.and_(Fields.watch_id == id, Fields.state == FileState.WAITING)
        with self._reading() as connection:
            due: float | None = connection.execute(sa.select(sa.func.min(Fields.due)).where(mine)).scalar_one()
        return due

    def wait(self, id: int, waits: Sequence[Wait], now: float) -> None:
        """These wait on, with the row they had: asked about again, they take that one."""
        waiting = {"state": FileState.WAITING}
        names = [name for name in Wait.__slots__ if name != "locator"]
        changes = [waiting | {"key": wait.locator} | {name: getattr(wait, name) for name in names} for wait in waits]
        self._update(id, changes, now)

    def take(self, id: int, rows: Mapping[str, tuple[int, int]], now: float) -> None:
        """These were asked about: locator -> batch and row."""
        taken = {"state": FileState.TAKEN, "due": None}
        changes = [taken | {"key": key, "batch_id": batch, "row_no": row} for key, (batch, row) in rows.items()]
        self._update(id, changes, now)

    # --- what has ended --------------------------------------------------------------------------

    def ended(self, id: int, *, now: float, limit: int) -> list[WatchedFile]:
        """Taken files of which all questions have ended."""
        mine = sa.and_(batch_items.c.batch_id == Fields.batch_id, batch_items.c.row_no == Fields.row_no)
        there = sa.select(sa.literal(1)).select_from(batch_items).where(mine).correlate(watched_files)
        query = (
            sa.select(*_FILE)
            .where(Fields.watch_id == id, Fields.state == FileState.TAKEN)
            .where(sa.or_(Fields.due.is_(None), Fields.due <= now))
            .where(~there.where(batch_items.c.ended.is_(None)).exists())
            .order_by(Fields.batch_id, Fields.row_no)
            .limit(limit)
        )
        with self._reading() as connection:
            return list(_files(connection, query))

    def put_off(self, id: int, locators: Sequence[str], reason: str, due: float, now: float) -> None:
        """What is to be done after their answers could not be done yet."""
        self._update(id, [{"key": locator, "reason": reason, "due": due} for locator in locators], now)

    def end(self, id: int, ends: Mapping[str, tuple[FileState, str | None]], now: float) -> None:
        rows = [
            {"key": locator, "state": state, "reason": reason, "due": None} for locator, (state, reason) in ends.items()
        ]
        self._update(id, rows, now)

    def harden(self) -> None:
        """All that was stored is on the disk when this returns, also if the power fails then.

        PostgreSQL promises that by itself. With SQLite's write-ahead log a transaction that is synchronous
        takes all before it along.
        """
        if self._engine.dialect.name != "sqlite":
            return
        connection = self._engine.raw_connection()
        with translated(self._engine.url), closing(connection), closing(connection.cursor()) as cursor:
            cursor.execute("PRAGMA synchronous=FULL")
            try:
                for statement in ("BEGIN IMMEDIATE", _TOUCH, "COMMIT"):
                    cursor.execute(statement)
            finally:
                cursor.execute("PRAGMA synchronous=NORMAL")

    def counts(self, id: int) -> dict[str, int]:
        query = sa.select(Fields.state, sa.func.count()).where(Fields.watch_id == id).group_by(Fields.state)
        with self._reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def unfit(self, id: int) -> int:
        """How many waiting files were looked at and found unfit as they are."""
        mine = sa.and_(Fields.watch_id == id, Fields.state == FileState.WAITING, Fields.tries > 0)
        with self._reading() as connection:
            return int(connection.execute(sa.select(sa.func.count()).where(mine)).scalar_one())

    def unsealed(self, origin: str) -> list[tuple[int, int]]:
        """Batches that a killed watcher left open, with how many rows they have."""
        rows = sa.func.coalesce(sa.func.max(batch_items.c.row_no) + 1, 0)
        query = (
            sa.select(batches.c.id, rows)
            .select_from(batches.outerjoin(batch_items, batch_items.c.batch_id == batches.c.id))
            .where(batches.c.origin == origin, batches.c.state == BatchState.VALIDATING)
            .group_by(batches.c.id)
        )
        with self._reading() as connection:
            return [(id, rows) for id, rows in connection.execute(query)]

    def of(self, locator: str) -> list[tuple[str, WatchedFile]]:
        """What the watches know of a file, by their names."""
        query = sa.select(watches.c.name, *_FILE).join(watches, watches.c.id == Fields.watch_id)
        with self._reading() as connection:
            rows = connection.execute(query.where(Fields.locator == locator).order_by(watches.c.name)).all()
        return [(row.name, _file(row)) for row in rows]

    # --- rows ------------------------------------------------------------------------------------

    def _known(self, connection: sa.Connection, id: int, locators: list[str]) -> Iterator[Any]:
        query = sa.select(Fields.locator, Fields.size, Fields.mtime_ns, Fields.state).where(Fields.watch_id == id)
        for start in range(0, len(locators), 500):
            yield from connection.execute(query.where(Fields.locator.in_(locators[start : start + 500])))

    def _row(self, id: int, one: Seen, due: float, now: float, reason: str) -> dict[str, Any]:
        return {
            "watch_id": id,
            "locator": one.locator,
            "drop": one.drop,
            "size": one.size,
            "mtime_ns": one.mtime_ns,
            "state": FileState.WAITING,
            "reason": reason,
            "tries": 0,
            "due": due,
            "since": now,
            "batch_id": None,
            "row_no": None,
            "updated": now,
        }

    def _update(self, id: int, rows: Sequence[Mapping[str, Any]], now: float) -> None:
        if not rows:
            return
        mine = sa.and_(Fields.watch_id == id, Fields.locator == sa.bindparam("key"))
        given: dict[str, Any] = {name: sa.bindparam(name) for name in rows[0] if name != "key"}
        query = watched_files.update().where(mine).values(**given, updated=now)
        with self._writing() as (connection, _):
            connection.execute(query, list(rows))


_TOUCH = "UPDATE watches SET name = name WHERE id = (SELECT min(id) FROM watches)"


def _has_come(known: Any, one: Seen, *, again: bool) -> bool:
    if known is None:
        return True
    if known.state == FileState.TAKEN:  # compared with what it was when its answers are there
        return False
    if (known.size, known.mtime_ns) != (one.size, one.mtime_ns):
        return True
    return known.state == FileState.GONE or (again and known.state == FileState.DONE)


def _files(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[WatchedFile]:
    return map(_file, connection.execute(query))


def _file(row: Any) -> WatchedFile:
    values = {name: getattr(row, name) for name in WatchedFile.__slots__}
    return WatchedFile(**values | {"state": FileState(row.state)})
