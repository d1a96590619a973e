"""The first schema.

Revision ID: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Json = sa.JSON(none_as_null=True)
Time: sa.Double[float] = sa.Double()
Digest = sa.LargeBinary()


def upgrade() -> None:
    op.create_table(
        "batches",
        sa.Column("id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False, comment="run, submit, watch:NAME, schedule:NAME"),
        sa.Column("spec", Json, nullable=False, comment="what the command asked, as values"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("deadline", Time),
        sa.Column("window", sa.Text(), comment="22:00-06:00 Europe/Berlin: works only then"),
        sa.Column("created", Time, nullable=False),
        sa.Column("finished", Time),
        sa.Column("served", Time, comment="when its jobs last went out as a ticket, for taking turns"),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
        sa.UniqueConstraint("name", name="uq_batches_name"),
    )
    op.create_index("ix_batches_state", "batches", ["state"])
    op.create_table(
        "builds",
        sa.Column("id", Id, nullable=False),
        sa.Column("digest", Digest, nullable=False, comment="of all files but the manifest"),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), comment="repository or checkpoint it was made from"),
        sa.Column("revision", sa.Text()),
        sa.Column("precision", sa.Text(), nullable=False, comment="read from the weights, never from a name"),
        sa.Column("recipe", Json),
        sa.Column("tools", Json, comment="versions of what made it"),
        sa.Column("licence", sa.Text()),
        sa.Column("path", sa.Text(), nullable=False, comment="where it was last seen"),
        sa.Column(
            "stamp", sa.Text(), nullable=False, comment="names, sizes, mtimes: unchanged means no need to hash again"
        ),
        sa.Column("created", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_builds"),
        sa.UniqueConstraint("digest", name="uq_builds_digest"),
    )
    op.create_table(
        "images",
        sa.Column("sha256", Digest, nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("first_seen", Time, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_images"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "prompts",
        sa.Column("id", Id, nullable=False),
        sa.Column("digest", Digest, nullable=False),
        sa.Column("messages", Json, nullable=False, comment="[[role, text], ...]: system, examples, question"),
        sa.Column("parameters", Json, nullable=False, comment="max_tokens, temperature, seed"),
        sa.Column("form", Json, comment="the answer's form: choices, schema, ..."),
        sa.Column("question", sa.Text(), nullable=False, comment="the last message, for people and searches"),
        sa.Column("created", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_prompts"),
        sa.UniqueConstraint("digest", name="uq_prompts_digest"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "runtimes",
        sa.Column("id", Id, nullable=False),
        sa.Column("digest", Digest, nullable=False),
        sa.Column("engine", sa.Text(), nullable=False, comment="batching, serial, fake"),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("device_name", sa.Text(), nullable=False),
        sa.Column("versions", Json, nullable=False, comment="openvino, openvino_genai, openvino_tokenizers, pixmill"),
        sa.Column("options", Json, nullable=False, comment="scheduler and device settings"),
        sa.Column("created", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_runtimes"),
        sa.UniqueConstraint("digest", name="uq_runtimes_digest"),
    )
    op.create_table(
        "schedules",
        sa.Column("id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("spec", Json, nullable=False),
        sa.Column("rule", Json, nullable=False, comment="cron or interval, zone, overlap, missed, window"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("next_fire", Time),
        sa.Column("created", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_schedules"),
        sa.UniqueConstraint("name", name="uq_schedules_name"),
    )
    op.create_index("ix_schedules_next_fire", "schedules", ["next_fire"])
    op.create_table(
        "watches",
        sa.Column("id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("spec", Json, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_watches"),
        sa.UniqueConstraint("name", name="uq_watches_name"),
    )
    op.create_table(
        "aliases",
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("build_id", Id, nullable=False),
        sa.Column("updated", Time, nullable=False),
        sa.ForeignKeyConstraint(["build_id"], ["builds.id"], name="fk_aliases_build_id_builds"),
        sa.PrimaryKeyConstraint("alias", name="pk_aliases"),
    )
    op.create_table(
        "firings",
        sa.Column("id", Id, nullable=False),
        sa.Column("schedule_id", Id, nullable=False),
        sa.Column("due", Time, nullable=False),
        sa.Column("fired", Time),
        sa.Column("batch_id", Id),
        sa.Column("outcome", sa.Text()),
        sa.Column("detail", sa.Text()),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_firings_batch_id_batches", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedules.id"], name="fk_firings_schedule_id_schedules", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_firings"),
        sa.UniqueConstraint("schedule_id", "due", name="uq_firings_schedule_id_due"),
    )
    op.create_table(
        "verifications",
        sa.Column("id", Id, nullable=False),
        sa.Column("build_id", Id, nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("figures", Json, nullable=False),
        sa.Column("created", Time, nullable=False),
        sa.ForeignKeyConstraint(["build_id"], ["builds.id"], name="fk_verifications_build_id_builds"),
        sa.PrimaryKeyConstraint("id", name="pk_verifications"),
    )
    op.create_index("ix_verifications_build_id_device", "verifications", ["build_id", "device"])
    op.create_table(
        "watched_files",
        sa.Column("watch_id", Id, nullable=False),
        sa.Column("locator", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger()),
        sa.Column("mtime_ns", sa.BigInteger()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("batch_id", Id),
        sa.Column("updated", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batches.id"], name="fk_watched_files_batch_id_batches", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["watch_id"], ["watches.id"], name="fk_watched_files_watch_id_watches", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("watch_id", "locator", name="pk_watched_files"),
    )
    op.create_table(
        "workers",
        sa.Column("id", Id, nullable=False),
        sa.Column("owner", sa.Text(), nullable=False, comment="host/boot/pid namespace/pid/start time"),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("boot_id", sa.Text(), nullable=False),
        sa.Column("pid_namespace", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("pid_started", sa.BigInteger(), nullable=False, comment="clock ticks since boot"),
        sa.Column("model", sa.Text()),
        sa.Column("device", sa.Text()),
        sa.Column("build_id", Id),
        sa.Column("status", Json, comment="running, waiting, rate: for people"),
        sa.Column("draining", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("started", Time, nullable=False),
        sa.Column("lease_until", Time, comment="none once it has ended and holds nothing"),
        sa.ForeignKeyConstraint(["build_id"], ["builds.id"], name="fk_workers_build_id_builds"),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
        sa.UniqueConstraint("owner", name="uq_workers_owner"),
    )
    op.create_index("ix_workers_lease_until", "workers", ["lease_until"])
    op.create_table(
        "jobs",
        sa.Column("id", Id, nullable=False),
        sa.Column("job_key", Digest, nullable=False, comment="JobSpec.key"),
        sa.Column("prompt_id", Id, nullable=False),
        sa.Column("model", sa.Text(), nullable=False, comment="the alias asked for; answers name the build"),
        sa.Column("device_class", sa.Text(), comment="CPU, GPU, NPU when asked for"),
        sa.Column(
            "lane",
            sa.SmallInteger(),
            nullable=False,
            comment="0 low, 1 normal, 2 high: the highest of its live batches",
        ),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column(
            "attempts", sa.Integer(), server_default="0", nullable=False, comment="tries that ended in a failure"
        ),
        sa.Column(
            "crashes", sa.Integer(), server_default="0", nullable=False, comment="engines that died with it inside"
        ),
        sa.Column("run_after", Time, comment="back-off: not to be claimed before"),
        sa.Column("fresh", sa.Boolean(), server_default=sa.false(), nullable=False, comment="skips the answer cache"),
        sa.Column("claim_token", sa.Integer(), server_default="0", nullable=False, comment="rises with each claim"),
        sa.Column("worker_id", Id, comment="who holds it, while running"),
        sa.Column("ticketed_at", Time, comment="a message with this id stands in the broker since"),
        sa.Column("source_changed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("error_code", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.Column("created", Time, nullable=False),
        sa.Column("queued", Time, nullable=False, comment="when it last began to wait"),
        sa.Column("updated", Time, nullable=False, comment="when its state last changed"),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompts.id"], name="fk_jobs_prompt_id_prompts"),
        sa.ForeignKeyConstraint(["worker_id"], ["workers.id"], name="fk_jobs_worker_id_workers"),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.UniqueConstraint("job_key", name="uq_jobs_job_key"),
    )
    op.create_index(
        "ix_jobs_failed",
        "jobs",
        ["error_code", "id"],
        sqlite_where=sa.text("state = 'failed'"),
        postgresql_where=sa.text("state = 'failed'"),
    )
    op.create_index(
        "ix_jobs_running",
        "jobs",
        ["worker_id"],
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_table(
        "answers",
        sa.Column("id", Id, nullable=False),
        sa.Column("job_id", Id, nullable=False),
        sa.Column("claim_token", sa.Integer(), nullable=False, comment="the claim that wrote it"),
        sa.Column("build_id", Id, nullable=False),
        sa.Column("runtime_id", Id, nullable=False),
        sa.Column("worker_id", Id),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("parsed", Json),
        sa.Column("finish_reason", sa.Text(), nullable=False, comment="stop or length"),
        sa.Column("logprob", Time, comment="mean over the answer's tokens"),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("answer_tokens", sa.Integer(), nullable=False),
        sa.Column("seed", sa.BigInteger(), comment="the seed that was really used, when sampling"),
        sa.Column("queue_s", Time, nullable=False),
        sa.Column("read_s", Time, nullable=False),
        sa.Column("vision_s", Time, nullable=False),
        sa.Column("first_token_s", Time, nullable=False),
        sa.Column("total_s", Time, nullable=False),
        sa.Column("content_key", Digest),
        sa.Column("cached_from", Id),
        sa.Column("created", Time, nullable=False),
        sa.ForeignKeyConstraint(["build_id"], ["builds.id"], name="fk_answers_build_id_builds"),
        sa.ForeignKeyConstraint(["cached_from"], ["answers.id"], name="fk_answers_cached_from_answers"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_answers_job_id_jobs"),
        sa.ForeignKeyConstraint(["runtime_id"], ["runtimes.id"], name="fk_answers_runtime_id_runtimes"),
        sa.ForeignKeyConstraint(["worker_id"], ["workers.id"], name="fk_answers_worker_id_workers"),
        sa.PrimaryKeyConstraint("id", name="pk_answers"),
        sa.UniqueConstraint("job_id", "claim_token", name="uq_answers_job_id_claim_token"),
    )
    op.create_index("ix_answers_content_key", "answers", ["content_key"])
    op.create_table(
        "batch_items",
        sa.Column("batch_id", Id, nullable=False),
        sa.Column("row_no", sa.BigInteger(), nullable=False),
        sa.Column("ask_no", sa.SmallInteger(), nullable=False, comment="which question of the row"),
        sa.Column("job_id", Id, comment="none for a row that could not become a job"),
        sa.Column("custom_id", sa.Text()),
        sa.Column("columns", Json, comment="pass-through columns of the input"),
        sa.Column("error_code", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.Column("ended", Time, comment="when its job ended, none while that is queued or running"),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batches.id"], name="fk_batch_items_batch_id_batches", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_batch_items_job_id_jobs"),
        sa.PrimaryKeyConstraint("batch_id", "row_no", "ask_no", name="pk_batch_items"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_batch_items_job_id_batch_id", "batch_items", ["job_id", "batch_id"])
    op.create_index(
        "ix_batch_items_open",
        "batch_items",
        ["batch_id", "ended", "row_no", "ask_no", "job_id"],
        sqlite_where=sa.text("ended IS NULL"),
        postgresql_where=sa.text("ended IS NULL"),
    )
    op.create_table(
        "job_images",
        sa.Column("job_id", Id, nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("locator", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger()),
        sa.Column("mtime_ns", sa.BigInteger()),
        sa.Column("sha256", Digest, comment="of the bytes that were read"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_job_images_job_id_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "position", name="pk_job_images"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_job_images_locator", "job_images", ["locator"])
    op.create_table(
        "reviews",
        sa.Column("id", Id, nullable=False),
        sa.Column("answer_id", Id, nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False, comment="right, wrong, corrected"),
        sa.Column("text", sa.Text()),
        sa.Column("reviewer", sa.Text()),
        sa.Column("created", Time, nullable=False),
        sa.ForeignKeyConstraint(["answer_id"], ["answers.id"], name="fk_reviews_answer_id_answers"),
        sa.PrimaryKeyConstraint("id", name="pk_reviews"),
    )
    op.create_index("ix_reviews_answer_id", "reviews", ["answer_id"])
