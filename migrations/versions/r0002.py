"""Follow-up questions, and names of questions.

Revision ID: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("batch_items", sa.Column("name", sa.Text(), comment="the question's, where it has one"))
    op.create_table(
        "followups",
        sa.Column("batch_id", Id, nullable=False),
        sa.Column("row_no", sa.BigInteger(), nullable=False),
        sa.Column("ask_no", sa.SmallInteger(), nullable=False, comment="higher than those it depends on"),
        sa.Column(
            "conditions",
            sa.JSON(none_as_null=True),
            nullable=False,
            comment="[[ask_no, is or contains, [value, ...]], ...]: all must hold",
        ),
        sa.Column(
            "job_key", sa.LargeBinary(), nullable=False, comment="of the job that is made or linked when they do"
        ),
        sa.Column("prompt_id", Id, nullable=False),
        sa.Column("name", sa.Text(), comment="the question's"),
        sa.Column("force", sa.Boolean(), nullable=False, comment="asked again though its job is done"),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_followups_batch_id_batches", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompts.id"], name="fk_followups_prompt_id_prompts"),
        sa.PrimaryKeyConstraint("batch_id", "row_no", "ask_no", name="pk_followups"),
        sqlite_with_rowid=False,
    )
