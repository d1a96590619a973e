"""Windows of batches, how firings of schedules went, and notices that batches have ended.

Revision ID: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision: str | None = "0004"

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("batches", sa.Column("window_opens", sa.Double(), comment="of the window that is open, or the next"))
    op.add_column("batches", sa.Column("window_closes", sa.Double()))
    op.create_index("ix_batches_window_closes", "batches", ["window_closes"])
    op.add_column("firings", sa.Column("found", sa.BigInteger(), comment="rows of the batch once it was submitted"))
    op.add_column(
        "firings",
        sa.Column("alive", sa.Double(), comment="when its process was heard of last, or it began to wait"),
    )
    op.add_column(
        "firings",
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0", comment="processes that began it"),
    )
    op.create_index("ix_firings_outcome", "firings", ["outcome"])
    op.create_table(
        "notices",
        sa.Column("id", Id, nullable=False),
        sa.Column("batch_id", Id, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="url, command"),
        sa.Column(
            "target", sa.Text(), nullable=False, comment="the address, or a name in the sender's own pixmill.toml"
        ),
        sa.Column("state", sa.Text(), nullable=False, comment="waiting, sending, sent, failed"),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("due", sa.Double(), nullable=False, comment="not to be tried before"),
        sa.Column("error", sa.Text(), comment="of the last try"),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_notices_batch_id_batches", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_notices"),
        sa.UniqueConstraint("batch_id", "kind", "target", name="uq_notices_batch_id_kind_target"),
    )
    op.create_index("ix_notices_state_due", "notices", ["state", "due"])
