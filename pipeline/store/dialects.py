"""What SQLite and PostgreSQL spell differently."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from pipeline.columns import spell
from pipeline.database import COPY
from pipeline.tables import jobs

Values = tuple[Any, ...]

_BATCHES = 0x70786D62
"""the advisory lock of transactions that change what batches want"""


def is_postgres(connection: sa.Connection) -> bool:
    return connection.dialect.name == "postgresql"


# --- values in statements ------------------------------------------------------------------------


class Ids(sa.types.TypeDecorator[Collection[int]]):
    """Ids as one bound value, so that a statement's text does not change with their number."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        return postgresql.ARRAY(sa.BigInteger()) if dialect.name == "postgresql" else sa.Text()

    def process_bind_param(self, value: Collection[int] | None, dialect: sa.Dialect) -> Any:
        ids = list(value or ())
        return ids if dialect.name == "postgresql" else json.dumps(ids)


class any_of(FunctionElement[bool]):  # noqa: N801  reads as the SQL function it stands for
    """`any_of(column, ids)`: the column holds one of the ids."""

    type = sa.Boolean()
    inherit_cache = True

    def self_group(self, against: object = None) -> any_of:
        """A condition as it stands: SQLAlchemy would add `= 1` on SQLite, which no index serves."""
        return self


@compiles(any_of)
def _any_of_sqlite(element: any_of, compiler: SQLCompiler, **options: Any) -> str:
    column, ids = (compiler.process(clause, **options) for clause in element.clauses)
    return f"({column} IN (SELECT value FROM json_each({ids})))"


@compiles(any_of, "postgresql")
def _any_of_postgres(element: any_of, compiler: SQLCompiler, **options: Any) -> str:
    column, ids = (compiler.process(clause, **options) for clause in element.clauses)
    return f"({column} = ANY ({ids}))"


def likely(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """A condition that many rows fulfil.

    PostgreSQL takes `id = (SELECT ...)` for one in millions, and sorts all rows to find the newest few that fit;
    what it cannot see into it takes for true half of the time.
    """
    return sa.func.coalesce(condition, sa.false())


# Statements are built once, at import, and take these two as parameters: building one costs
# several times what running it does.
IDS = sa.bindparam("ids", type_=Ids)
NOW = sa.bindparam("now", type_=sa.Double)


# --- statements ----------------------------------------------------------------------------------


def insert(connection: sa.Connection, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows ON CONFLICT."""
    return postgresql.insert(table) if is_postgres(connection) else sqlite.insert(table)


def insert_rows(
    connection: sa.Connection,
    table: sa.Table,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    skip_known: bool = False,
) -> None:
    """Many rows at once, handed to the driver as they are (JSON as text).

    SQLAlchemy prepares each row's parameters in Python, which was most of the time of `Store.add`:
    23,700 rows/s through it, 65,000 without (SQLAlchemy 2.1, SQLite 3.40, two cores). PostgreSQL is given many rows by
    COPY, which took a third more of them a second than an INSERT of each.
    """
    if rows:
        postgres = is_postgres(connection)
        copied = postgres and len(rows) > 1 and not skip_known
        text = _insert_text(postgres, table, tuple(columns), skip_known, copied)
        connection.exec_driver_sql(text, list(rows))


@functools.cache
def _insert_text(postgres: bool, table: sa.Table, columns: tuple[str, ...], skip_known: bool, copied: bool) -> str:
    names = ", ".join(f'"{name}"' for name in columns)
    if copied:
        return f"{COPY} {table.name} ({names}) FROM STDIN"
    values = ", ".join(["%s" if postgres else "?"] * len(columns))
    rest = " ON CONFLICT DO NOTHING" if skip_known else ""
    return f"INSERT INTO {table.name} ({names}) VALUES ({values}){rest}"


def by_digest(
    connection: sa.Connection,
    table: sa.Table,
    digest: str,
    columns: Sequence[str],
    digests: Collection[bytes],
    *,
    lock: bool = False,
) -> list[Values]:
    """Rows by their digest, which is the first value of each. Locked in one order, as by `locked`.

    Handed to the driver as they are, like rows that are inserted: of a known row's time a quarter went into
    preparing these parameters (SQLAlchemy 2.1, SQLite 3.40, two cores).
    """
    if not digests:
        return []
    postgres = is_postgres(connection)
    text = f"SELECT {digest}, {', '.join(columns)} FROM {table.name} WHERE {digest}"
    if not postgres:
        # The driver keeps prepared statements, and one with ten thousand places is large: so there are few sizes.
        padded = (*digests, *[None] * ((1 << (len(digests) - 1).bit_length()) - len(digests)))
        return as_read(connection.exec_driver_sql(f"{text} IN ({', '.join('?' * len(padded))})", padded))
    order = " ORDER BY id FOR NO KEY UPDATE" if lock else ""
    # In binary: as text an array of ten thousand takes nine times as long to write and to read.
    return as_read(connection.exec_driver_sql(f"{text} = ANY(%b){order}", (list(digests),)))


def as_read(result: sa.CursorResult[Any]) -> list[Values]:
    """All rows as the driver gives them: to make SQLAlchemy's of them took as long as to read them."""
    with closing(result):
        return list(result.cursor.fetchall())


def locked(query: sa.Select[Any]) -> sa.Select[Any]:
    """The query over jobs with its rows locked in one order, so that two transactions cannot wait for each other."""
    return query.order_by(jobs.c.id).with_for_update(of=jobs, key_share=True)


def reserve(connection: sa.Connection, table: sa.Table, count: int) -> Iterable[int]:
    """Ids for rows that are about to be inserted.

    SQLite has one writer, who holds the database already; PostgreSQL has a sequence.
    """
    if not is_postgres(connection):
        last: int = connection.execute(sa.select(sa.func.coalesce(sa.func.max(table.c.id), 0))).scalar_one()
        return range(last + 1, last + 1 + count)
    following = sa.func.nextval(sa.func.pg_get_serial_sequence(table.name, "id"))
    return connection.execute(sa.select(following).select_from(sa.func.generate_series(1, count))).scalars().all()


# --- transactions --------------------------------------------------------------------------------

_CLOCK = sa.select(sa.extract("epoch", sa.func.clock_timestamp()))


def now(connection: sa.Connection) -> float:
    """The database's own clock, so that hosts need not agree on the time; SQLite's hosts are one."""
    return float(connection.execute(_CLOCK).scalar_one()) if is_postgres(connection) else time.time()


def begin(connection: sa.Connection, *, alone: bool, may_be_lost: bool) -> float:
    """What a transaction that writes begins with, and its time. On PostgreSQL one statement: each is a round trip.

    `alone`: wait for other transactions that change what batches want. On PostgreSQL a job could otherwise be
    cancelled while another transaction links it: neither sees what the other has not committed. On SQLite
    there is one writer anyway.

    `may_be_lost`: this transaction need not wait for the disk: if the server loses its power, some work is
    repeated, no more.
    """
    if not is_postgres(connection):
        return time.time()
    # The clock comes last: it is read when the lock is held.
    parts = [
        *(["set_config('synchronous_commit', 'off', true)"] if may_be_lost else []),
        *([f"pg_advisory_xact_lock({_BATCHES})"] if alone else []),
        "extract(epoch FROM clock_timestamp())",
    ]
    row = connection.exec_driver_sql(f"SELECT {', '.join(parts)}").one()
    return float(row[-1])


# --- values --------------------------------------------------------------------------------------


def plain(text: str) -> str:
    """Text as both databases can keep it: no NUL, and nothing that is not Unicode (such as parts of file names)."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\ufffd").encode("utf-8", "backslashreplace").decode()


def plain_or_none(text: str | None) -> str | None:
    return None if text is None else plain(text)


def as_json(value: object) -> str | None:
    """A value for a JSON column that is handed to the driver. None is no value."""
    return None if value is None else spell(value)
