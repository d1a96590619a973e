"""Rows as people read them: frozen, of plain types, complete in what says how an answer came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pipeline.jobs import BatchState, State
from pipeline.store.values import Counts


class WorkerState(StrEnum):
    """How a worker stands."""

    WORKING = "working"
    DRAINING = "draining"
    """asked to take nothing new and to end"""
    LEASE_OVER = "lease over"
    """silent for too long: others take its jobs back"""


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureRow:
    """A job's picture: where it is, and what was found there once it was read."""

    name: str
    """the locator as a person reads it"""
    locator: str
    size: int | None
    mtime_ns: int | None
    sha256: str | None
    bytes: int | None
    width: int | None
    height: int | None
    format: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptRow:
    """What was asked besides the question."""

    system: str | None
    examples: tuple[tuple[str, str], ...]
    """messages between the system prompt and the question"""
    parameters: Mapping[str, Any]
    form: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildRow:
    """The model build that answered."""

    digest: str
    family: str
    source: str | None
    revision: str | None
    precision: str
    recipe: Mapping[str, Any] | None
    tools: Mapping[str, str] | None
    licence: str | None
    path: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelRow:
    """A model as jobs name it, with the build it stands for now."""

    alias: str
    build: BuildRow
    answers: int
    """how many that build gave"""
    updated: float | None
    """since when; none while no job names it"""


@dataclass(frozen=True, kw_only=True, slots=True)
class VerificationRow:
    """A build was seen working on a device."""

    device: str
    figures: Mapping[str, Any]
    created: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RuntimeRow:
    """The engine and the device that answered."""

    engine: str
    device: str
    device_name: str
    versions: Mapping[str, str]
    options: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewRow:
    """What a person said about an answer."""

    verdict: str
    text: str | None
    reviewer: str | None
    created: float


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerRow:
    """An answer with its whole origin. `text` is a reviewer's where there is one, else the model's."""

    id: int
    job: int
    pictures: tuple[PictureRow, ...]
    question: str
    text: str
    model_text: str
    review: ReviewRow | None
    parsed: Any
    prompt: PromptRow
    model: str
    build: BuildRow
    runtime: RuntimeRow
    worker: str | None
    finish_reason: str
    prompt_tokens: int
    answer_tokens: int
    logprob: float | None
    seed: int | None
    queue_s: float
    read_s: float
    vision_s: float
    first_token_s: float
    total_s: float
    cached_from: int | None
    created: float


@dataclass(frozen=True, kw_only=True, slots=True)
class HistoryRow:
    """One of a job's answers, with all that people said about it, the newest first."""

    current: bool
    """whether it is the one that counts"""
    answer: AnswerRow
    reviews: tuple[ReviewRow, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemRow:
    """A job as someone asked for it, with its current answer or its failure.

    The fields of the batch are none when jobs are listed without one; `job` is none for a row that
    could not become a job.
    """

    batch: str | None
    row: int | None
    ask: int | None
    custom_id: str | None
    columns: Mapping[str, Any] | None
    name: str | None = None
    """the question's"""
    job: int | None
    state: State
    error_code: str | None
    error: str | None
    attempts: int
    updated: float | None
    model: str | None
    pictures: tuple[PictureRow, ...]
    question: str | None
    prompt: PromptRow | None
    answer: AnswerRow | None


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRow:
    """Everything about one job: all its answers, newest first, with the current one among them."""

    id: int
    state: State
    model: str
    device_class: str | None
    lane: str
    attempts: int
    crashes: int
    fresh: bool
    source_changed: bool
    error_code: str | None
    error: str | None
    run_after: float | None
    created: float
    updated: float
    batches: tuple[str, ...]
    pictures: tuple[PictureRow, ...]
    question: str
    prompt: PromptRow
    current: int | None
    """the current answer's id"""
    answers: tuple[AnswerRow, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchRow:
    """A batch and how its items stand."""

    id: int
    name: str
    origin: str
    state: BatchState
    lane: str
    spec: Mapping[str, Any]
    deadline: float | None
    window: str | None
    created: float
    finished: float | None
    counts: Counts
    errors: Mapping[str, int]
    """failed items by code"""


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchHead:
    """A batch without its items."""

    id: int
    name: str
    state: BatchState
    finished: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerRow:
    """A worker that has not ended, as far as is known."""

    id: int
    owner: str
    host: str
    pid: int
    model: str | None
    device: str | None
    state: WorkerState
    status: Mapping[str, Any] | None
    """running, places, rate, done, ...: what it last told of itself"""
    started: float
    lease_until: float


@dataclass(frozen=True, kw_only=True, slots=True)
class HealthRow:
    """Whether a worker gets on."""

    worker: WorkerRow
    held: int
    """jobs it has claimed that have not ended"""
    quiet_s: float
    """since it last claimed or answered one, or began"""
    work_waits: bool
    """whether it has long been idle though there is a job for it"""


@dataclass(frozen=True, kw_only=True, slots=True)
class ActiveBatch:
    """A batch that is being answered, or was until a moment ago."""

    name: str
    state: BatchState
    lane: str
    deadline: float | None
    total: int
    done: int
    failed: int
    open: int
    """items that have not ended"""
    rate: float | None
    """answers a second; none while it gets none"""
    left_s: float | None
    """how long it takes at that rate"""


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueRow:
    """The jobs of one model and lane that wait for a worker."""

    model: str
    lane: str
    queued: int
    at_least: bool
    """whether there are more than were counted"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Activity:
    """What goes on right now."""

    at: float
    batches: tuple[ActiveBatch, ...]
    queues: tuple[QueueRow, ...]
    workers: tuple[WorkerRow, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """How everything stands."""

    jobs: Mapping[str, int]
    batches: Mapping[str, int]
    workers: tuple[WorkerRow, ...]
    answers: int
    cached: int
