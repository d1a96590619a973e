"""What the two databases complain about, as our own errors with a sentence."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from pipeline import errors

PATIENCE_S = 30.0
"""how long a statement waits for another's lock before the database counts as busy"""
IDLE_S = 10.0
"""how long PostgreSQL waits within a transaction for a program that stands still: others wait for its locks"""

_SECRET = "***"

# The driver is an extra: only the codes it reports are known here.
_POSTGRES_FULL = "53100"
_POSTGRES_BUSY = ("40001", "40P01", "55P03")
_POSTGRES_READ_ONLY = ("25006", "42501")
_POSTGRES_GONE = ("08", "25P03", "53", "57P")
_POSTGRES_REFUSED = ("28", "3D")


def shown(url: sa.URL) -> str:
    """A database as a person may read it: SQLite's file, or the address without its secrets."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    safe = {key: _SECRET if "password" in key else value for key, value in url.query.items()}
    return url.set(query=safe).render_as_string(hide_password=True)


@contextmanager
def translated(url: sa.URL) -> Iterator[None]:
    """Whatever the database says inside comes out as one of Pixmill's own errors.

    Only mistakes in our own SQL stay as they are: they are for us, with their stack.
    """
    try:
        yield
    except sa.exc.TimeoutError as error:
        raise errors.DatabaseBusy(seconds=PATIENCE_S) from error
    except sa.exc.DBAPIError as error:
        said = _of_sqlite(url, error.orig) if isinstance(error.orig, sqlite3.Error) else _of_postgres(url, error)
        if said is None:
            raise
        raise said from error
    except sqlite3.Error as error:
        said = _of_sqlite(url, error)
        if said is None:
            raise
        raise said from error


def _of_sqlite(url: sa.URL, error: sqlite3.Error) -> errors.PixmillError | None:
    path = Path(str(url.database))
    # The lower byte is the kind, what is above it the circumstances.
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return errors.DatabaseBusy(seconds=PATIENCE_S)
        case sqlite3.SQLITE_FULL:
            return errors.DatabaseFull(url=shown(url))
        # A full disk can also show as a failed write to a file beside the database.
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_CANTOPEN if not _room(path.parent):
            return errors.DatabaseFull(url=shown(url))
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_CANTOPEN:
            return errors.DatabaseReadOnly(path=path, why=str(error))
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_IOERR:
            return errors.DatabaseDamaged(url=shown(url), why=str(error))
    return None


def _room(folder: Path) -> bool:
    """Whether a page more would fit on the folder's file system."""
    try:
        return os.statvfs(folder).f_bavail > 1
    except OSError:
        return True  # a missing folder is another complaint


def _of_postgres(url: sa.URL, error: sa.exc.DBAPIError) -> errors.PixmillError | None:
    code = getattr(error.orig, "sqlstate", None)
    if code is None:  # no server answered, or the connection broke
        unreachable = isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)
        return errors.DatabaseUnreachable(url=shown(url), why=_line(error)) if unreachable else None
    if code == _POSTGRES_FULL:
        return errors.DatabaseFull(url=shown(url))
    if code in _POSTGRES_BUSY:
        return errors.DatabaseBusy(seconds=PATIENCE_S)
    if code in _POSTGRES_READ_ONLY:
        return errors.DatabaseReadOnly(path=shown(url), why=_line(error))
    if code.startswith(_POSTGRES_REFUSED):
        return errors.DatabaseRefused(url=shown(url), why=_line(error))
    if code.startswith(_POSTGRES_GONE):
        return errors.DatabaseUnreachable(url=shown(url), why=_line(error))
    if code.startswith("XX"):
        return errors.DatabaseDamaged(url=shown(url), why=_line(error))
    return None


def _line(error: sa.exc.DBAPIError) -> str:
    return " ".join(str(error.orig).split())
