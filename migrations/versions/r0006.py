"""Indexes for what is removed: without them each row that goes is looked for in all of another table.

Revision ID: 0006
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision: str | None = "0005"


def upgrade() -> None:
    op.create_index("ix_jobs_prompt_id", "jobs", ["prompt_id"])
    op.create_index("ix_followups_prompt_id", "followups", ["prompt_id"])
    op.create_index("ix_answers_worker_id", "answers", ["worker_id"])
    for table in ("watched_files", "firings"):
        op.create_index(f"ix_{table}_batch_id", table, ["batch_id"])
