"""Full-text search, and copies of an answer found by their origin.

Revision ID: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pipeline.words import words

revision = "0003"
down_revision: str | None = "0002"

CHUNK = 5_000

SQLITE = (
    "CREATE VIRTUAL TABLE answer_words USING fts5(words, tokenize='ascii', columnsize=0)",
    "CREATE TRIGGER answer_words_forget AFTER DELETE ON answers"
    " BEGIN DELETE FROM answer_words WHERE rowid = old.id; END",
)
POSTGRES = (
    "CREATE TABLE answer_words (rowid bigint NOT NULL, words tsvector NOT NULL,"
    " CONSTRAINT pk_answer_words PRIMARY KEY (rowid),"
    " CONSTRAINT fk_answer_words_rowid_answers FOREIGN KEY (rowid) REFERENCES answers (id) ON DELETE CASCADE)",
    "CREATE INDEX ix_answer_words_words ON answer_words USING gin (words)",
)
TEXTS = """
    SELECT id, coalesce(
        (SELECT reviews.text FROM reviews WHERE reviews.answer_id = coalesce(answers.cached_from, answers.id)
         AND reviews.text IS NOT NULL ORDER BY reviews.id DESC LIMIT 1), text
    ) FROM answers WHERE id > :last ORDER BY id LIMIT :count
"""


def upgrade() -> None:
    connection = op.get_bind()
    postgres = connection.dialect.name == "postgresql"
    copies = sa.text("cached_from IS NOT NULL")
    op.create_index("ix_answers_cached_from", "answers", ["cached_from"], sqlite_where=copies, postgresql_where=copies)
    make, *index = POSTGRES if postgres else SQLITE
    op.execute(make)
    _fill(connection, postgres)
    for statement in index:
        op.execute(statement)


def _fill(connection: sa.Connection, postgres: bool) -> None:
    last = 0
    places = "%s, %s" if postgres else "?, ?"
    while rows := connection.execute(sa.text(TEXTS), {"last": last, "count": CHUNK}).all():
        found = [(id, _spelled(text, postgres)) for id, text in rows]
        connection.exec_driver_sql(f"INSERT INTO answer_words (rowid, words) VALUES ({places})", found)
        last = rows[-1][0]


def _spelled(text: str, postgres: bool) -> str:
    said = words(text)
    return " ".join(f"'{word}':{place}" for place, word in enumerate(said, 1)) if postgres else " ".join(said)
