"""A database: how it is reached, and how its schema is made, checked and upgraded.

SQLite runs with a write-ahead log and `synchronous=NORMAL`: what was committed survives a killed
process; a power cut may undo the last seconds of commits, in order and each as a whole. Jobs then
are queued again that had been answered, never half-answered, and no answer lacks its job.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

import migrations
from pipeline import __version__, errors, mounts
from pipeline.complaints import IDLE_S, PATIENCE_S, shown, translated

WRITES = "pixmill_writes"
"""execution option of connections whose transactions write"""
COPY = "COPY"
"""what a statement begins with that PostgreSQL is given rows for"""

MOUNTS = mounts.TABLE
_POSTGRES = ("postgres", "postgresql", "postgresql+psycopg")
_OLDEST_SQLITE = (3, 35, 0)  # RETURNING
_CONNECT_S = 10
_UNREADABLE = "in PIXMILL_DATABASE_URL"


def parse(url: str) -> sa.URL:
    """The address of a database: sqlite:///PATH or postgresql://USER@HOST/NAME."""
    try:
        found = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise errors.DatabaseUnreachable(url=_UNREADABLE, why="this is not an address") from None
    if "@" in (found.host or ""):  # the rest of a password, which must not be shown as a host
        raise errors.DatabaseUnreachable(url=_UNREADABLE, why="in a password @ is written %40")
    if found.drivername in _POSTGRES:
        return found.set(drivername="postgresql+psycopg")
    if found.drivername != "sqlite":
        raise errors.DatabaseUnreachable(url=shown(found), why="only sqlite:/// and postgresql:// are known")
    if found.database in (None, "", ":memory:") or str(found.database).startswith("file:"):
        raise errors.DatabaseUnreachable(url=url, why="name a file, as in sqlite:////folder/pixmill.db")
    return found.set(database=os.path.abspath(str(found.database)))


def connect(url: str) -> sa.Engine:
    """An engine for the store. It opens connections as threads need them."""
    place = parse(url)
    return _sqlite(place) if place.get_backend_name() == "sqlite" else _postgres(place)


def prepare(url: str) -> None:
    """See to it that the database can be used.

    An embedded one is made and upgraded here; a server's is only checked, for other hosts use it too.
    """
    place = parse(url)
    if place.get_backend_name() != "sqlite":
        _check(place, current(url))
        return
    path = Path(str(place.database))
    with translated(place), _complaining(path):
        _make_folder(path)
        if not _ready(place):
            with _lock(place):
                _make(place)


def upgrade(url: str) -> str:
    """Bring the schema to the newest revision, which is returned. Nothing happens when it is there already."""
    place = parse(url)
    if place.get_backend_name() == "sqlite":
        prepare(url)
        return migrations.HEAD
    with translated(place), _engine(place) as engine, engine.begin() as connection:
        # Until the end of the transaction: two upgrades at once go one after the other.
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(migrations.LOCK)))
        _migrate(place, connection)
    return migrations.HEAD


def current(url: str) -> str | None:
    """The schema's revision, or none when there is no schema yet."""
    place = parse(url)
    if place.get_backend_name() == "sqlite" and not Path(str(place.database)).exists():
        return None
    with translated(place), _engine(place) as engine, engine.connect() as connection:
        return _revision(connection)


# --- engines -----------------------------------------------------------------------------------


def _sqlite(place: sa.URL) -> sa.Engine:
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise errors.DatabaseUnreachable(url=shown(place), why=f"SQLite {sqlite3.sqlite_version} is older than 3.35")
    # No isolation level: the driver begins nothing by itself, so that we can say BEGIN IMMEDIATE
    # (a transaction that read first and writes later is refused when another wrote in between).
    engine = sa.create_engine(place, connect_args={"timeout": PATIENCE_S, "isolation_level": None})

    @sa.event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _: object) -> None:
        for pragma in ("synchronous=NORMAL", "foreign_keys=ON", "cache_size=-65536", "journal_size_limit=67108864"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgres(place: sa.URL) -> sa.Engine:
    try:
        engine = sa.create_engine(place, pool_pre_ping=True, connect_args={"connect_timeout": _CONNECT_S})
    except ModuleNotFoundError:
        raise errors.DatabaseUnreachable(
            url=shown(place), why="its driver is not installed; run: pip install 'pixmill[postgres]'"
        ) from None

    @sa.event.listens_for(engine, "connect")
    def configure(connection: Any, _: object) -> None:
        connection.execute(f"SET lock_timeout = '{PATIENCE_S:g}s'")
        connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_S:g}s'")
        connection.commit()

    @sa.event.listens_for(engine, "do_executemany")
    def copy_rows(cursor: Any, statement: str, rows: Sequence[Sequence[Any]], _: object) -> bool:
        """SQLAlchemy knows no COPY. Within its event an error is one of its own, like that of any other statement."""
        if not statement.startswith(COPY):
            return False
        with cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
        return True

    return engine


@contextmanager
def _engine(place: sa.URL) -> Iterator[sa.Engine]:
    engine = (_sqlite if place.get_backend_name() == "sqlite" else _postgres)(place)
    try:
        yield engine
    finally:
        engine.dispose()


# --- the schema --------------------------------------------------------------------------------


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _check(place: sa.URL, found: str | None) -> None:
    _check_known(place, found)
    if found != migrations.HEAD:
        raise errors.DatabaseOlder(url=shown(place), found=found or "none", needed=migrations.HEAD)


def _check_known(place: sa.URL, found: str | None) -> None:
    if found is not None and found not in migrations.REVISIONS:
        raise errors.DatabaseNewer(url=shown(place), found=found, version=__version__)


def _migrate(place: sa.URL, connection: sa.Connection) -> None:
    found = _revision(connection)
    _check_known(place, found)
    if found != migrations.HEAD:
        migrations.run(connection)


def _ready(place: sa.URL) -> bool:
    """Whether the embedded database is as it should be; says so when it never can be."""
    path = Path(str(place.database))
    if not path.exists() or path.stat().st_size == 0:
        return False
    with _engine(place) as engine, engine.connect() as connection:
        found = _revision(connection)
        _check_known(place, found)
        if found is None and sa.inspect(connection).get_table_names():
            raise errors.DatabaseDamaged(url=shown(place), why="it holds the tables of another program")
        return found == migrations.HEAD and _journal(connection) == "wal"


def _make(place: sa.URL) -> None:
    """Make or upgrade the file, while its lock is held."""
    if _ready(place):
        return
    with _engine(place) as engine:
        # Both are kept in the file and cannot change inside a transaction; the first only while the file is new. With
        # it the file can become smaller step by step, while others use it.
        for pragma in ("auto_vacuum=INCREMENTAL", "journal_mode=WAL"):
            _outside_transactions(engine, functools.partial(_set, pragma))
        with engine.execution_options(**{WRITES: True}).begin() as connection:
            _migrate(place, connection)


def _set(pragma: str, driver: Any) -> None:
    driver.execute(f"PRAGMA {pragma}")


def _journal(connection: sa.Connection) -> str:
    return str(connection.exec_driver_sql("PRAGMA journal_mode").scalar_one())


def _outside_transactions(engine: sa.Engine, act: Callable[[Any], object]) -> None:
    connection = engine.raw_connection()
    try:
        act(connection.driver_connection)
    finally:
        connection.close()


# --- the embedded database's file ----------------------------------------------------------------


def _make_folder(path: Path) -> None:
    kind = mounts.kind(path, MOUNTS)
    if kind in mounts.NETWORK:
        raise errors.DatabaseOnNetwork(path=path, kind=kind)
    with _complaining(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)


@contextmanager
def _lock(place: sa.URL) -> Iterator[None]:
    """One process at a time makes or upgrades the database. The file stays: removing it would race."""
    path = Path(f"{place.database}.lock")
    with _complaining(path):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


@contextmanager
def _complaining(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise errors.DatabaseFull(url=str(path)) from error
        raise errors.DatabaseReadOnly(path=path, why=(error.strerror or str(error)).lower()) from error
