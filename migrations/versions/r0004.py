"""Watched folders: who watches, and what is known of each file.

The tables of the first revision were never written to, so they are made anew.

Revision ID: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Json = sa.JSON(none_as_null=True)
Time = sa.Double


def upgrade() -> None:
    op.drop_table("watched_files")
    op.drop_table("watches")
    op.create_table(
        "watches",
        sa.Column("id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("spec", Json, nullable=False),
        sa.Column("owner", Json, comment="the process that watches, while it does"),
        sa.Column("lease_until", Time, comment="none once it has ended"),
        sa.Column("created", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_watches"),
        sa.UniqueConstraint("name", name="uq_watches_name"),
    )
    op.create_table(
        "watched_files",
        sa.Column("watch_id", Id, nullable=False),
        sa.Column("locator", sa.Text(), nullable=False),
        sa.Column("drop", sa.Text(), nullable=False, comment="the folder it came in with: drops take turns"),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="waiting, taken, done, failed, gone"),
        sa.Column("reason", sa.Text()),
        sa.Column("tries", sa.Integer(), nullable=False, comment="looks that found it unfit as it is"),
        sa.Column("due", Time, comment="when to look at it again"),
        sa.Column("since", Time, nullable=False, comment="when it was first seen as it is"),
        sa.Column("batch_id", Id),
        sa.Column("row_no", sa.BigInteger(), comment="its row in the batch"),
        sa.Column("updated", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["watch_id"], ["watches.id"], name="fk_watched_files_watch_id_watches", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batches.id"], name="fk_watched_files_batch_id_batches", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("watch_id", "locator", name="pk_watched_files"),
    )
    op.create_index("ix_watched_files_watch_id_state_due", "watched_files", ["watch_id", "state", "due"])
    op.create_index("ix_watched_files_locator", "watched_files", ["locator"])
