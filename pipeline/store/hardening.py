"""Hardening: what was stored stays stored, also when the power fails."""

from __future__ import annotations

from contextlib import closing

import sqlalchemy as sa

from pipeline.complaints import translated

_TOUCH = "UPDATE watches SET name = name WHERE id = (SELECT min(id) FROM watches)"


def harden(engine: sa.Engine) -> None:
    """All that was stored is on the disk when this returns.

    PostgreSQL promises that by itself. With SQLite's write-ahead log a transaction that is synchronous
    takes all before it along.
    """
    if engine.dialect.name != "sqlite":
        return
    connection = engine.raw_connection()
    with translated(engine.url), closing(connection), closing(connection.cursor()) as cursor:
        cursor.execute("PRAGMA synchronous=FULL")
        try:
            for statement in ("BEGIN IMMEDIATE", _TOUCH, "COMMIT"):
                cursor.execute(statement)
        finally:
            cursor.execute("PRAGMA synchronous=NORMAL")
