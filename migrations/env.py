"""Alembic's environment: it works on the connection it is given, inside the transaction that is open there."""

from alembic import context

from pipeline.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # also on SQLite, where our transactions are real ones
)
context.run_migrations()
