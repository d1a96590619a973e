"""The tables. `migrations/` makes them, `pipeline.store` is the only reader and writer.

Times are seconds since 1970 (UTC) as doubles: exact and alike on SQLite and PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import TSVECTOR

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite only numbers rows by itself when the key is declared INTEGER.
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# JSON that keeps NULL for "nothing", so that IS NULL means what it says.
Json = sa.JSON(none_as_null=True)
Time = sa.Double
Digest = sa.LargeBinary


def table(name: str, *columns: sa.schema.SchemaItem, **options: Any) -> sa.Table:
    made: sa.Table = sa.Table(name, metadata, *columns, **options)
    return made


def id_column() -> Column[int]:
    return Column("id", Id, primary_key=True)


# --- what is asked -----------------------------------------------------------------------------

prompts = table(
    "prompts",
    id_column(),
    Column("digest", Digest, nullable=False, unique=True),
    Column("messages", Json, nullable=False, comment="[[role, text], ...]: system, examples, question"),
    Column("parameters", Json, nullable=False, comment="max_tokens, temperature, seed"),
    Column("form", Json, comment="the answer's form: choices, schema, ..."),
    Column("question", sa.Text, nullable=False, comment="the last message, for people and searches"),
    Column("created", Time, nullable=False),
    sqlite_autoincrement=True,  # stores remember prompts by id, so an id is never given twice
)

jobs = table(
    "jobs",
    id_column(),
    Column("job_key", Digest, nullable=False, unique=True, comment="JobSpec.key"),
    Column("prompt_id", Id, ForeignKey("prompts.id"), nullable=False),
    Column("model", sa.Text, nullable=False, comment="the alias asked for; answers name the build"),
    Column("device_class", sa.Text, comment="CPU, GPU, NPU when asked for"),
    Column("lane", sa.SmallInteger, nullable=False, comment="0 low, 1 normal, 2 high: the highest of its live batches"),
    Column("state", sa.Text, nullable=False),
    Column("attempts", sa.Integer, nullable=False, server_default="0", comment="tries that ended in a failure"),
    Column("crashes", sa.Integer, nullable=False, server_default="0", comment="engines that died with it inside"),
    Column("run_after", Time, comment="back-off: not to be claimed before"),
    Column("fresh", sa.Boolean, nullable=False, server_default=sa.false(), comment="skips the answer cache"),
    Column("claim_token", sa.Integer, nullable=False, server_default="0", comment="rises with each claim"),
    Column("worker_id", Id, ForeignKey("workers.id"), comment="who holds it, while running"),
    Column("ticketed_at", Time, comment="a message with this id stands in the broker since"),
    Column("source_changed", sa.Boolean, nullable=False, server_default=sa.false()),
    Column("error_code", sa.Text),
    Column("error", sa.Text),
    Column("created", Time, nullable=False),
    Column("queued", Time, nullable=False, comment="when it last began to wait"),
    Column("updated", Time, nullable=False, comment="when its state last changed"),
    Index(None, "prompt_id"),
)
# Partial indexes stay small beside millions of done jobs.
Index(
    "ix_jobs_running",
    jobs.c.worker_id,
    sqlite_where=jobs.c.state == sa.literal_column("'running'"),
    postgresql_where=jobs.c.state == sa.literal_column("'running'"),
)
Index(
    "ix_jobs_failed",
    jobs.c.error_code,
    jobs.c.id,
    sqlite_where=jobs.c.state == sa.literal_column("'failed'"),
    postgresql_where=jobs.c.state == sa.literal_column("'failed'"),
)

job_images = table(
    "job_images",
    Column("job_id", Id, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("position", sa.SmallInteger, primary_key=True),
    Column("locator", sa.Text, nullable=False),
    Column("size", sa.BigInteger),
    Column("mtime_ns", sa.BigInteger),
    Column("sha256", Digest, comment="of the bytes that were read"),
    Index(None, "locator"),
    sqlite_with_rowid=False,
)

images = table(
    "images",
    Column("sha256", Digest, primary_key=True),
    Column("bytes", sa.BigInteger, nullable=False),
    Column("width", sa.Integer, nullable=False),
    Column("height", sa.Integer, nullable=False),
    Column("format", sa.Text, nullable=False),
    Column("first_seen", Time, nullable=False),
    sqlite_with_rowid=False,
)

# --- who asked ---------------------------------------------------------------------------------

batches = table(
    "batches",
    id_column(),
    Column("name", sa.Text, nullable=False, unique=True),
    Column("origin", sa.Text, nullable=False, comment="run, submit, watch:NAME, schedule:NAME"),
    Column("spec", Json, nullable=False, comment="what the command asked, as values"),
    Column("state", sa.Text, nullable=False),
    Column("lane", sa.SmallInteger, nullable=False),
    Column("deadline", Time),
    Column("window", sa.Text, comment="22:00-06:00 Europe/Berlin: works only then"),
    Column("window_opens", Time, comment="of the window that is open, or the next"),
    Column("window_closes", Time),
    Column("created", Time, nullable=False),
    Column("finished", Time),
    Column("served", Time, comment="when its jobs last went out as a ticket, for taking turns"),
    Index(None, "state"),
    Index(None, "window_closes"),
)

batch_items = table(
    "batch_items",
    Column("batch_id", Id, ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True),
    Column("row_no", sa.BigInteger, primary_key=True),
    Column("ask_no", sa.SmallInteger, primary_key=True, comment="which question of the row"),
    Column("job_id", Id, ForeignKey("jobs.id"), comment="none for a row that could not become a job"),
    Column("custom_id", sa.Text),
    Column("columns", Json, comment="pass-through columns of the input"),
    Column("error_code", sa.Text),
    Column("error", sa.Text),
    Column("ended", Time, comment="when its job ended, none while that is queued or running"),
    Column("name", sa.Text, comment="the question's, where it has one"),
    Index(None, "job_id", "batch_id"),
    sqlite_with_rowid=False,
)
# What a batch still waits for, in its own order: tickets and the batch's end are found without
# passing over what is done. `ended` is always NULL in it, and makes SQLite prefer it to the key.
Index(
    "ix_batch_items_open",
    batch_items.c.batch_id,
    batch_items.c.ended,
    batch_items.c.row_no,
    batch_items.c.ask_no,
    batch_items.c.job_id,
    sqlite_where=batch_items.c.ended.is_(None),
    postgresql_where=batch_items.c.ended.is_(None),
)

followups = table(
    "followups",
    Column("batch_id", Id, ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True),
    Column("row_no", sa.BigInteger, primary_key=True),
    Column("ask_no", sa.SmallInteger, primary_key=True, comment="higher than those it depends on"),
    Column("conditions", Json, nullable=False, comment="[[ask_no, is or contains, [value, ...]], ...]: all must hold"),
    Column("job_key", Digest, nullable=False, comment="of the job that is made or linked when they do"),
    Column("prompt_id", Id, ForeignKey("prompts.id"), nullable=False),
    Column("name", sa.Text, comment="the question's"),
    Column("force", sa.Boolean, nullable=False, comment="asked again though its job is done"),
    Index(None, "prompt_id"),
    sqlite_with_rowid=False,
)

# --- who answers -------------------------------------------------------------------------------

builds = table(
    "builds",
    id_column(),
    Column("digest", Digest, nullable=False, unique=True, comment="of all files but the manifest"),
    Column("family", sa.Text, nullable=False),
    Column("source", sa.Text, comment="repository or checkpoint it was made from"),
    Column("revision", sa.Text),
    Column("precision", sa.Text, nullable=False, comment="read from the weights, never from a name"),
    Column("recipe", Json),
    Column("tools", Json, comment="versions of what made it"),
    Column("licence", sa.Text),
    Column("path", sa.Text, nullable=False, comment="where it was last seen"),
    Column("stamp", sa.Text, nullable=False, comment="names, sizes, mtimes: unchanged means no need to hash again"),
    Column("created", Time, nullable=False),
)

aliases = table(
    "aliases",
    Column("alias", sa.Text, primary_key=True),
    Column("build_id", Id, ForeignKey("builds.id"), nullable=False),
    Column("updated", Time, nullable=False),
)

verifications = table(
    "verifications",
    id_column(),
    Column("build_id", Id, ForeignKey("builds.id"), nullable=False),
    Column("device", sa.Text, nullable=False),
    Column("figures", Json, nullable=False),
    Column("created", Time, nullable=False),
    Index(None, "build_id", "device"),
)

runtimes = table(
    "runtimes",
    id_column(),
    Column("digest", Digest, nullable=False, unique=True),
    Column("engine", sa.Text, nullable=False, comment="batching, serial, fake"),
    Column("device", sa.Text, nullable=False),
    Column("device_name", sa.Text, nullable=False),
    Column("versions", Json, nullable=False, comment="openvino, openvino_genai, openvino_tokenizers, pixmill"),
    Column("options", Json, nullable=False, comment="scheduler and device settings"),
    Column("created", Time, nullable=False),
)

workers = table(
    "workers",
    id_column(),
    Column("owner", sa.Text, nullable=False, unique=True, comment="host/boot/pid namespace/pid/start time"),
    Column("host", sa.Text, nullable=False),
    Column("boot_id", sa.Text, nullable=False),
    Column("pid_namespace", sa.Text, nullable=False),
    Column("pid", sa.Integer, nullable=False),
    Column("pid_started", sa.BigInteger, nullable=False, comment="clock ticks since boot"),
    Column("model", sa.Text),
    Column("device", sa.Text),
    Column("build_id", Id, ForeignKey("builds.id")),
    Column("status", Json, comment="running, waiting, rate: for people"),
    Column("draining", sa.Boolean, nullable=False, server_default=sa.false()),
    Column("started", Time, nullable=False),
    Column("lease_until", Time, comment="none once it has ended and holds nothing"),
    Index(None, "lease_until"),
)

# --- answers -----------------------------------------------------------------------------------

answers = table(
    "answers",
    id_column(),
    Column("job_id", Id, ForeignKey("jobs.id"), nullable=False),
    Column("claim_token", sa.Integer, nullable=False, comment="the claim that wrote it"),
    Column("build_id", Id, ForeignKey("builds.id"), nullable=False),
    Column("runtime_id", Id, ForeignKey("runtimes.id"), nullable=False),
    Column("worker_id", Id, ForeignKey("workers.id")),
    Column("text", sa.Text, nullable=False),
    Column("parsed", Json),
    Column("finish_reason", sa.Text, nullable=False, comment="stop or length"),
    Column("logprob", sa.Double, comment="mean over the answer's tokens"),
    Column("prompt_tokens", sa.Integer, nullable=False),
    Column("answer_tokens", sa.Integer, nullable=False),
    Column("seed", sa.BigInteger, comment="the seed that was really used, when sampling"),
    Column("queue_s", sa.Double, nullable=False),
    Column("read_s", sa.Double, nullable=False),
    Column("vision_s", sa.Double, nullable=False),
    Column("first_token_s", sa.Double, nullable=False),
    Column("total_s", sa.Double, nullable=False),
    Column("content_key", Digest),
    Column("cached_from", Id, ForeignKey("answers.id")),
    Column("created", Time, nullable=False),
    UniqueConstraint("job_id", "claim_token"),
    Index(None, "content_key"),
    Index(None, "worker_id"),
)
Index(
    "ix_answers_cached_from",
    answers.c.cached_from,
    sqlite_where=answers.c.cached_from.is_not(None),
    postgresql_where=answers.c.cached_from.is_not(None),
)

reviews = table(
    "reviews",
    id_column(),
    Column("answer_id", Id, ForeignKey("answers.id"), nullable=False),
    Column("verdict", sa.Text, nullable=False, comment="right, wrong, corrected"),
    Column("text", sa.Text),
    Column("reviewer", sa.Text),
    Column("created", Time, nullable=False),
    Index(None, "answer_id"),
)

# --- searches ------------------------------------------------------------------------------------

# The words of each answer. Another kind of table on each database, so it is made by words of its own;
# SQLite's has its key under this name and no other.
answer_words = sa.table(
    "answer_words", sa.column("rowid", Id), sa.column("words", sa.Text().with_variant(TSVECTOR(), "postgresql"))
)
ANSWER_WORDS = {
    "sqlite": (
        "CREATE VIRTUAL TABLE answer_words USING fts5(words, tokenize='ascii', columnsize=0)",
        "CREATE TRIGGER answer_words_forget AFTER DELETE ON answers"
        " BEGIN DELETE FROM answer_words WHERE rowid = old.id; END",
    ),
    "postgresql": (
        "CREATE TABLE answer_words (rowid bigint NOT NULL, words tsvector NOT NULL,"
        " CONSTRAINT pk_answer_words PRIMARY KEY (rowid),"
        " CONSTRAINT fk_answer_words_rowid_answers FOREIGN KEY (rowid) REFERENCES answers (id) ON DELETE CASCADE)",
        "CREATE INDEX ix_answer_words_words ON answer_words USING gin (words)",
    ),
}
_by_hand: Callable[[str], sa.DDL] = sa.DDL
for _dialect, _statements in ANSWER_WORDS.items():
    for _statement in _statements:
        sa.event.listen(metadata, "after_create", _by_hand(_statement).execute_if(dialect=_dialect))
sa.event.listen(metadata, "before_drop", _by_hand("DROP TABLE answer_words"))

# --- doors: watched folders and clocks -----------------------------------------------------------

watches = table(
    "watches",
    id_column(),
    Column("name", sa.Text, nullable=False, unique=True),
    Column("spec", Json, nullable=False),
    Column("owner", Json, comment="the process that watches, while it does"),
    Column("lease_until", Time, comment="none once it has ended"),
    Column("created", Time, nullable=False),
)

watched_files = table(
    "watched_files",
    Column("watch_id", Id, ForeignKey("watches.id", ondelete="CASCADE"), primary_key=True),
    Column("locator", sa.Text, primary_key=True),
    Column("drop", sa.Text, nullable=False, comment="the folder it came in with: drops take turns"),
    Column("size", sa.BigInteger, nullable=False),
    Column("mtime_ns", sa.BigInteger, nullable=False),
    Column("state", sa.Text, nullable=False, comment="waiting, taken, done, failed, gone"),
    Column("reason", sa.Text),
    Column("tries", sa.Integer, nullable=False, comment="looks that found it unfit as it is"),
    Column("due", Time, comment="when to look at it again"),
    Column("since", Time, nullable=False, comment="when it was first seen as it is"),
    Column("batch_id", Id, ForeignKey("batches.id", ondelete="SET NULL")),
    Column("row_no", sa.BigInteger, comment="its row in the batch"),
    Column("updated", Time, nullable=False),
    Index(None, "watch_id", "state", "due"),
    Index(None, "locator"),
    Index(None, "batch_id"),
)

schedules = table(
    "schedules",
    id_column(),
    Column("name", sa.Text, nullable=False, unique=True),
    Column("spec", Json, nullable=False),
    Column("rule", Json, nullable=False, comment="cron or interval, zone, overlap, missed, window"),
    Column("state", sa.Text, nullable=False),
    Column("next_fire", Time),
    Column("created", Time, nullable=False),
    Index(None, "next_fire"),
)

firings = table(
    "firings",
    id_column(),
    Column("schedule_id", Id, ForeignKey("schedules.id", ondelete="CASCADE"), nullable=False),
    Column("due", Time, nullable=False),
    Column("fired", Time),
    Column("batch_id", Id, ForeignKey("batches.id", ondelete="SET NULL")),
    Column("outcome", sa.Text),
    Column("detail", sa.Text),
    Column("found", sa.BigInteger, comment="rows of the batch once it was submitted"),
    Column("alive", Time, comment="when its process was heard of last, or it began to wait"),
    Column("tries", sa.Integer, nullable=False, server_default="0", comment="processes that began it"),
    UniqueConstraint("schedule_id", "due"),
    Index(None, "batch_id"),
    Index(None, "outcome"),
)

notices = table(
    "notices",
    id_column(),
    Column("batch_id", Id, ForeignKey("batches.id", ondelete="CASCADE"), nullable=False),
    Column("kind", sa.Text, nullable=False, comment="url, command"),
    Column("target", sa.Text, nullable=False, comment="the address, or a name in the sender's own pixmill.toml"),
    Column("state", sa.Text, nullable=False, comment="waiting, sending, sent, failed"),
    Column("tries", sa.Integer, nullable=False, server_default="0"),
    Column("due", Time, nullable=False, comment="not to be tried before"),
    Column("error", sa.Text, comment="of the last try"),
    UniqueConstraint("batch_id", "kind", "target"),
    Index(None, "state", "due"),
)
