"""Room on the disk: what removed rows leave behind inside of the embedded database's file, and in its log.

A server looks after its own room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from pipeline.complaints import translated

PAGES = 1_000
"""given back in one step: others wait for some ten milliseconds"""
_INCREMENTAL = 2


@dataclass(frozen=True, slots=True)
class Room:
    """How the embedded database's file stands."""

    file: Path
    size: int
    free: int
    """bytes in it that hold nothing any more"""
    steps: bool
    """whether it can be made smaller step by step; else it is written anew"""


def room(engine: sa.Engine) -> Room | None:
    """None for a server, and where no database is yet."""
    if engine.url.database is None or engine.dialect.name == "postgresql":
        return None
    with driver(engine) as ask:
        size, free, page, mode = (
            ask(f"PRAGMA {name}") for name in ("page_count", "freelist_count", "page_size", "auto_vacuum")
        )
    return Room(Path(str(engine.url.database)), size * page, free * page, mode == _INCREMENTAL)


def give_back(engine: sa.Engine) -> Iterator[None]:
    """The file becomes smaller, step by step; between two of them others go on."""
    with driver(engine) as ask:
        while free := ask("PRAGMA freelist_count"):
            ask(f"PRAGMA incremental_vacuum({PAGES})")
            yield
            if ask("PRAGMA freelist_count") == free:
                return
        ask("PRAGMA wal_checkpoint(TRUNCATE)")


def rewrite(engine: sa.Engine) -> bool:
    """Write the file anew, so that it holds only what is in the tables, and empty its log.

    Others cannot write meanwhile. False when somebody reads, and the log could not be emptied.
    """
    with driver(engine) as ask:
        ask(f"PRAGMA auto_vacuum={_INCREMENTAL}")
        ask("VACUUM")
        return not ask("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def driver(engine: sa.Engine) -> Iterator[Callable[[str], int]]:
    """Statements outside of any transaction, each with the first number it says."""
    connection = engine.raw_connection()

    def ask(statement: str) -> int:
        rows = connection.driver_connection.execute(statement).fetchall()  # type: ignore[union-attr]
        return int(rows[0][0]) if rows and rows[0] else 0

    try:
        with translated(engine.url):
            yield ask
    finally:
        connection.close()
