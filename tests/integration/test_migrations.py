from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import migrations
from pipeline import database, tables
from tests import servers


def test_the_list_of_revisions_is_the_history() -> None:
    scripts = ScriptDirectory.from_config(migrations.config())
    assert [script.revision for script in scripts.walk_revisions()] == list(reversed(migrations.REVISIONS))
    assert scripts.get_heads() == [migrations.HEAD]


def test_the_migrated_schema_is_that_of_the_tables(database_url: str) -> None:
    engine = database.connect(database_url)
    with engine.connect() as connection:
        # The words of answers are another kind of table on each database, which SQLAlchemy does not know.
        opts = {"compare_type": True, "compare_server_default": True, "include_name": is_known}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, tables.metadata) == []
    engine.dispose()


def is_known(name: str | None, kind: str, _: object) -> bool:
    return kind != "table" or not (name or "").startswith("answer_words")


def test_the_migrated_schema_is_word_for_word_what_the_tables_would_make(empty_url: str) -> None:
    """Alembic's comparison does not see everything: a partial index's condition, a table without row ids."""
    engine = database.connect(empty_url)
    database.upgrade(empty_url)
    migrated = words(engine)
    with engine.begin() as connection:
        tables.metadata.drop_all(connection)
        tables.metadata.create_all(connection)
    assert words(engine) == migrated
    assert len(migrated) > 25
    engine.dispose()


def test_a_database_of_the_first_revision_keeps_what_it_holds(empty_url: str) -> None:
    engine = database.connect(empty_url)
    Path(str(engine.url.database)).parent.mkdir(parents=True, exist_ok=True)
    with engine.begin() as connection:
        command.upgrade(migrations.config(connection), "0001")
        columns = "id, name, origin, spec, state, lane, created"
        connection.exec_driver_sql(f"INSERT INTO batches ({columns}) VALUES (7, 'a', 'run', '{{}}', 'completed', 1, 1)")
        connection.exec_driver_sql("INSERT INTO batch_items (batch_id, row_no, ask_no, ended) VALUES (7, 0, 0, 2)")
    database.upgrade(empty_url)
    with engine.connect() as connection:
        (item,) = connection.execute(sa.select(tables.batch_items))
        assert (item.batch_id, item.ended, item.name) == (7, 2, None)
        assert connection.execute(sa.select(tables.followups)).all() == []
    assert database.current(empty_url) == migrations.HEAD
    engine.dispose()


SCHEMA = {
    "sqlite": "SELECT sql FROM sqlite_master WHERE name NOT LIKE 'alembic%' AND sql IS NOT NULL",
    "postgresql": """
        SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename NOT LIKE 'alembic%'
        UNION
        SELECT pg_class.relname || ' ' || conname || ' ' || pg_get_constraintdef(pg_constraint.oid)
        FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
        WHERE conname LIKE '%\\_%' AND pg_class.relname NOT LIKE 'alembic%' AND pg_class.relname NOT LIKE 'pg\\_%'
    """,
}


def words(engine: sa.Engine) -> set[tuple[str, ...]]:
    """The words of each table, index and constraint. Their order is left out: constraints come in another one."""
    with engine.connect() as connection:
        found = connection.execute(sa.text(SCHEMA[engine.dialect.name])).scalars()
        return {tuple(sorted(text.replace(",", " ").split())) for text in found}


def test_a_server_is_private() -> None:
    with servers.postgres() as first, servers.postgres() as second:
        assert first.port != second.port
        process, folder = first.process, first.folder
        assert process.poll() is None
    assert process.poll() == 0
    assert not folder.exists()
