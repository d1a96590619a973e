"""Watched files: what a watcher knows of each, in SQL, so that a restart neither repeats nor forgets."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from pipeline.jobs import State
from pipeline.store.dialects import insert
from pipeline.store.transactions import Part, Transactions
from pipeline.tables import batch_items, jobs, watched_files, watches


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
    asked_again: bool = False
    """it failed, and a person had its questions asked again since; the watcher has not seen that yet"""


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


Fields = watched_files.c
_NAMES = tuple(name for name in WatchedFile.__slots__ if name != "asked_again")
_FILE = tuple(Fields[name] for name in _NAMES)

_ROW = sa.and_(batch_items.c.batch_id == Fields.batch_id, batch_items.c.row_no == Fields.row_no)
_ASKED = sa.select(sa.literal(1)).select_from(batch_items).where(_ROW).correlate(watched_files)
_IS_OPEN = _ASKED.where(batch_items.c.ended.is_(None)).exists()
_LACKS_ANSWERS = (
    sa.select(sa.literal(1))
    .select_from(batch_items.outerjoin(jobs, jobs.c.id == batch_items.c.job_id))
    .where(_ROW, sa.or_(jobs.c.id.is_(None), jobs.c.state != State.DONE))
    .correlate(watched_files)
    .exists()
)
_ASKED_AGAIN = sa.and_(Fields.state == FileState.FAILED, sa.or_(_IS_OPEN, sa.and_(_ASKED.exists(), ~_LACKS_ANSWERS)))


class WatchedFiles(Part):
    """The files of one watch. Their times are its watcher's own."""

    def __init__(self, transactions: Transactions, id: int) -> None:
        super().__init__(transactions)
        self._id, self._mine = id, Fields.watch_id == id

    # --- what is seen ----------------------------------------------------------------------------

    def note(self, seen: Sequence[tuple[Seen, float]], *, now: float, away: Collection[FileState], reason: str) -> int:
        """Files that are new, have changed or are there again wait until they are due. Returns how many.

        `away`: files that stand so were moved or deleted. One that is there has come anew.
        """
        by_locator = {one.locator: (one, due) for one, due in seen}
        # Read before: nearly always nothing has changed, and only this watch's one watcher writes its rows.
        with self._reading() as connection:
            known = {row.locator: row for row in self._known(connection, list(by_locator))}
        changed = [
            self._row(one, due, now, reason)
            for locator, (one, due) in by_locator.items()
            if _has_come(known.get(locator), one, away)
        ]
        if changed:
            with self._writing() as (connection, _):
                made = insert(connection, watched_files)
                new = {name: made.excluded[name] for name in changed[0] if name not in ("watch_id", "locator")}
                known_too = made.on_conflict_do_update(index_elements=["watch_id", "locator"], set_=new)
                connection.execute(known_too, changed)
        return len(changed)

    def hasten(self, locators: Sequence[str], due: float) -> None:
        """Look at these again by then, if they wait."""
        mine = sa.and_(self._mine, Fields.state == FileState.WAITING, Fields.due > due)
        with self._writing() as (connection, _):
            connection.execute(watched_files.update().where(mine, Fields.locator.in_(locators)).values(due=due))

    def start_over(self, due: float, now: float) -> None:
        """At a watcher's start all that waits is watched anew: nobody knows what happened meanwhile."""
        mine = sa.and_(self._mine, Fields.state.in_([FileState.WAITING, FileState.TAKEN]))
        values = {"due": sa.case((Fields.state == FileState.WAITING, due), else_=None), "since": now, "tries": 0}
        with self._writing() as (connection, _):
            connection.execute(watched_files.update().where(mine).values(values))

    # --- what is taken ---------------------------------------------------------------------------

    def ready(self, *, now: float, limit: int) -> list[WatchedFile]:
        """Files that are due, of each drop in turn, so that a large one does not keep a small one waiting."""
        turn = sa.func.row_number().over(partition_by=Fields.drop, order_by=(Fields.due, Fields.locator))
        due = sa.and_(self._mine, Fields.state == FileState.WAITING, Fields.due <= now)
        ranked = sa.select(Fields.locator, turn.label("turn")).where(due).subquery()
        query = (
            sa.select(*_FILE)
            .join(ranked, ranked.c.locator == Fields.locator)
            .where(self._mine)
            .order_by(ranked.c.turn, Fields.due, Fields.locator)
            .limit(limit)
        )
        with self._reading() as connection:
            return list(_files(connection, query))

    def next_due(self) -> float | None:
        """When the next waiting file is due."""
        mine = sa.and_(self._mine, Fields.state == FileState.WAITING)
        with self._reading() as connection:
            due: float | None = connection.execute(sa.select(sa.func.min(Fields.due)).where(mine)).scalar_one()
        return due

    def wait(self, waits: Sequence[Wait], now: float) -> None:
        """These wait on, with the row they had: asked about again, they take that one."""
        waiting = {"state": FileState.WAITING}
        names = [name for name in Wait.__slots__ if name != "locator"]
        changes = [waiting | {"key": wait.locator} | {name: getattr(wait, name) for name in names} for wait in waits]
        self._update(changes, now)

    def take(self, rows: Mapping[str, tuple[int, int]], now: float) -> None:
        """These were asked about: locator -> batch and row."""
        taken = {"state": FileState.TAKEN, "due": None}
        changes = [taken | {"key": key, "batch_id": batch, "row_no": row} for key, (batch, row) in rows.items()]
        self._update(changes, now)

    def take_again(self, now: float) -> int:
        """Failed files whose questions a person had asked again are taken once more. Returns how many."""
        query = watched_files.update().where(self._mine, _ASKED_AGAIN)
        with self._reading() as connection:
            if not connection.execute(sa.select(sa.literal(1)).where(self._mine, _ASKED_AGAIN).limit(1)).first():
                return 0
        with self._writing() as (connection, _):
            return connection.execute(query.values(state=FileState.TAKEN, reason=None, due=None, updated=now)).rowcount

    # --- what has ended --------------------------------------------------------------------------

    def ended(self, *, now: float, limit: int) -> list[WatchedFile]:
        """Taken files of which all questions have ended."""
        query = (
            sa.select(*_FILE)
            .where(self._mine, Fields.state == FileState.TAKEN)
            .where(sa.or_(Fields.due.is_(None), Fields.due <= now))
            .where(~_IS_OPEN)
            .order_by(Fields.batch_id, Fields.row_no)
            .limit(limit)
        )
        with self._reading() as connection:
            return list(_files(connection, query))

    def put_off(self, locators: Sequence[str], reason: str, due: float, now: float) -> None:
        """What is to be done after their answers could not be done yet."""
        self._update([{"key": locator, "reason": reason, "due": due} for locator in locators], now)

    def end(self, ends: Mapping[str, tuple[FileState, str | None]], now: float) -> None:
        rows = [
            {"key": locator, "state": state, "reason": reason, "due": None} for locator, (state, reason) in ends.items()
        ]
        self._update(rows, now)

    def counts(self) -> dict[str, int]:
        query = sa.select(Fields.state, sa.func.count()).where(self._mine).group_by(Fields.state)
        with self._reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def unfit(self) -> int:
        """How many waiting files were looked at and found unfit as they are."""
        mine = sa.and_(self._mine, Fields.state == FileState.WAITING, Fields.tries > 0)
        with self._reading() as connection:
            return int(connection.execute(sa.select(sa.func.count()).where(mine)).scalar_one())

    # --- rows ------------------------------------------------------------------------------------

    def _known(self, connection: sa.Connection, locators: list[str]) -> Iterator[Any]:
        query = sa.select(Fields.locator, Fields.size, Fields.mtime_ns, Fields.state).where(self._mine)
        for start in range(0, len(locators), 500):
            yield from connection.execute(query.where(Fields.locator.in_(locators[start : start + 500])))

    def _row(self, one: Seen, due: float, now: float, reason: str) -> dict[str, Any]:
        return {
            "watch_id": self._id,
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

    def _update(self, rows: Sequence[Mapping[str, Any]], now: float) -> None:
        if not rows:
            return
        mine = sa.and_(self._mine, Fields.locator == sa.bindparam("key"))
        given: dict[str, Any] = {name: sa.bindparam(name) for name in rows[0] if name != "key"}
        query = watched_files.update().where(mine).values(**given, updated=now)
        with self._writing() as (connection, _):
            connection.execute(query, list(rows))


def _has_come(known: Any, one: Seen, away: Collection[FileState]) -> bool:
    if known is None:
        return True
    if known.state == FileState.TAKEN:  # compared with what it was when its answers are there
        return False
    if (known.size, known.mtime_ns) != (one.size, one.mtime_ns):
        return True
    return known.state == FileState.GONE or known.state in away


def _files(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[WatchedFile]:
    return map(_file, connection.execute(query))


def _file(row: Any) -> WatchedFile:
    values = {name: getattr(row, name) for name in _NAMES}
    return WatchedFile(**values | {"state": FileState(row.state)})


def known(connection: sa.Connection, locator: str) -> list[tuple[str, WatchedFile]]:
    """What the watches know of a file, by their names."""
    query = sa.select(watches.c.name, *_FILE, _ASKED_AGAIN.label("again"))
    mine = query.join(watches, watches.c.id == Fields.watch_id).where(Fields.locator == locator)
    rows = connection.execute(mine.order_by(watches.c.name))
    return [(row.name, replace(_file(row), asked_again=bool(row.again))) for row in rows]
