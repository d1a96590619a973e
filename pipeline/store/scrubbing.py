"""Scrubbing: what was forgotten is left nowhere in the database's own files, also where these hold nothing any more.

A mark says that it is due, so that a program that is killed before leaves it to the next one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from pipeline.complaints import translated
from pipeline.store import space
from pipeline.tables import answer_words, metadata

PATIENCE_S = 5.0
"""for a table that others use on a server: whoever comes after us waits as long"""
_FULL_TEXT = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%USING fts5%'"
_TABLES = (*metadata.tables, answer_words.name, "pg_statistic")
"""what the server knows of common values holds locators too"""
_MARKED, _MARK = answer_words.name, "Something was forgotten, and is to be scrubbed."
_HELD = "55P03"


def mark(engine: sa.Engine) -> None:
    """From now on the files may hold what is forgotten."""
    if file := _beside(engine):
        file.touch()
    elif _is_server(engine):
        _comment(engine, f"'{_MARK}'")


def is_marked(engine: sa.Engine) -> bool:
    """Whether they may still."""
    if not _is_server(engine):
        return (file := _beside(engine)) is not None and file.exists()
    with engine.connect() as connection:
        query = f"SELECT obj_description('{_MARKED}'::regclass, 'pg_class')"
        return bool(connection.exec_driver_sql(query).scalar_one() == _MARK)


def scrub(engine: sa.Engine) -> bool:
    """Leave nothing of it. False when others held some of the files for too long."""
    clean = _scrub_server(engine) if _is_server(engine) else _scrub_file(engine)
    if clean:
        _unmark(engine)
    return clean


def _unmark(engine: sa.Engine) -> None:
    if file := _beside(engine):
        file.unlink(missing_ok=True)
    elif _is_server(engine):
        _comment(engine, "NULL")


# --- the embedded database -------------------------------------------------------------------------


def _beside(engine: sa.Engine) -> Path | None:
    """The file that is the embedded database's mark."""
    room = space.room(engine)
    return None if room is None else room.file.with_name(f"{room.file.name}.forgetting")


def _scrub_file(engine: sa.Engine) -> bool:
    with engine.connect() as connection:
        indexes = connection.exec_driver_sql(_FULL_TEXT).scalars().all()
    with space.driver(engine) as ask:
        for name in indexes:
            # A full-text index only notes that words are gone until its parts are merged.
            ask(f"INSERT INTO {name}({name}) VALUES ('optimize')")
    return space.rewrite(engine)


# --- a server --------------------------------------------------------------------------------------


def _is_server(engine: sa.Engine) -> bool:
    return engine.dialect.name == "postgresql"


def _scrub_server(engine: sa.Engine) -> bool:
    with _on_server(engine) as connection:
        connection.exec_driver_sql(f"SET lock_timeout = '{PATIENCE_S:g}s'")
        held = [table for table in _TABLES if not _rewritten(connection, table)]
    return not held


def _rewritten(connection: sa.Connection, table: str) -> bool:
    """The table and its indexes are new files with nothing in them but what is there.

    A plain VACUUM left texts in the free room of pages, locators in the inner pages of their index, and each word
    as a key of the full-text index, which never removes one (PostgreSQL 15).
    """
    try:
        connection.exec_driver_sql(f"VACUUM (FULL, ANALYZE) {table}")
    except sa.exc.DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _HELD:
            raise
        return False
    return True


def _comment(engine: sa.Engine, text: str) -> None:
    with _on_server(engine) as connection:
        connection.exec_driver_sql(f"COMMENT ON TABLE {_MARKED} IS {text}")


@contextmanager
def _on_server(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Outside of any transaction; what is set there ends with it."""
    with translated(engine.url), engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.detach()
        yield connection
