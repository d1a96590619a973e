"""Full text: the words of each answer as it counts, written in the transaction that changes them.

`answer_words` is an FTS5 table on SQLite and a tsvector with a GIN index on PostgreSQL. Both are given words that
`pipeline.words` has cut, and take them as they are. A row goes with its answer, by a trigger or a foreign key.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from pipeline.store.dialects import IDS, any_of, is_postgres
from pipeline.tables import answer_words, answers, jobs
from pipeline.words import Phrase, Search, words

# --- what is looked for --------------------------------------------------------------------------


class _Sought(sa.types.TypeDecorator[Search]):
    """A search in the database's own language. Words are letters and digits alone: nothing in them needs care."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Search | None, dialect: sa.Dialect) -> str:
        phrases = value.phrases if value else ()
        if dialect.name == "postgresql":
            return " & ".join(map(_of_postgres, phrases))
        return " AND ".join(map(_of_sqlite, phrases))


def _of_postgres(phrase: Phrase) -> str:
    return "(" + " <-> ".join(f"'{word}'" for word in phrase.words) + (":*)" if phrase.open else ")")


def _of_sqlite(phrase: Phrase) -> str:
    return f'"{" ".join(phrase.words)}"' + ("*" if phrase.open else "")


class _matches(FunctionElement[bool]):  # noqa: N801  reads as the SQL function it stands for
    """`_matches(search)`: the words beside it hold what is looked for."""

    type = sa.Boolean()
    inherit_cache = True

    def self_group(self, against: object = None) -> _matches:
        """A condition as it stands: SQLAlchemy would add `= 1` on SQLite, which the index does not serve."""
        return self


@compiles(_matches)
def _matches_sqlite(element: _matches, compiler: SQLCompiler, **options: Any) -> str:
    column, search = (compiler.process(clause, **options) for clause in element.clauses)
    return f"({column} MATCH {search})"


@compiles(_matches, "postgresql")
def _matches_postgres(element: _matches, compiler: SQLCompiler, **options: Any) -> str:
    column, search = (compiler.process(clause, **options) for clause in element.clauses)
    return f"({column} @@ CAST({search} AS tsquery))"


def matches(search: Search) -> sa.ColumnElement[bool]:
    """The condition that `answer_words` fits a search. Nothing fits one without words."""
    return sa.false() if not search.phrases else _matches(answer_words.c.words, sa.literal(search, _Sought()))


# --- keeping up ----------------------------------------------------------------------------------

_copied = answer_words.alias()
_COPY = answer_words.insert().from_select(
    ["rowid", "words"],
    sa.select(answers.c.id, _copied.c.words)
    .join(jobs, sa.and_(jobs.c.id == answers.c.job_id, jobs.c.claim_token == answers.c.claim_token))
    .join(_copied, _copied.c.rowid == answers.c.cached_from)
    .where(any_of(answers.c.job_id, IDS)),
)


def add(connection: sa.Connection, texts: Iterable[tuple[int, str]]) -> None:
    """Answers that are new, and what they say."""
    if rows := [(id, _spelled(connection, text)) for id, text in texts]:
        values = "(%s, %s)" if is_postgres(connection) else "(?, ?)"
        connection.exec_driver_sql(f"INSERT INTO answer_words (rowid, words) VALUES {values}", rows)


def copy(connection: sa.Connection, jobs: Collection[int]) -> None:
    """The newest answers of these jobs were taken over, and say what their origin says, as it counts."""
    if jobs:
        connection.execute(_COPY, {"ids": jobs})


def replace(connection: sa.Connection, ids: Sequence[int], text: str) -> None:
    """Answers that count with another text from now on."""
    said = sa.literal(_spelled(connection, text), answer_words.c.words.type)
    connection.execute(answer_words.update().where(any_of(answer_words.c.rowid, IDS)).values(words=said), {"ids": ids})


def _spelled(connection: sa.Connection, text: str) -> str:
    """The words as the database takes them: with their places on PostgreSQL, whose own parser is not asked."""
    said = words(text)
    if is_postgres(connection):
        return " ".join(f"'{word}':{place}" for place, word in enumerate(said, 1))
    return " ".join(said)
