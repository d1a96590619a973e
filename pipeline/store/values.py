"""What the store takes and gives besides jobs: small frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pipeline.jobs import Lane


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """A batch that takes items."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Ticket:
    """Ids of a few queued jobs of one model that go out together, in one lane."""

    ids: tuple[int, ...]
    lane: Lane


@dataclass(frozen=True, slots=True)
class Added:
    """What became of items that were added: each is counted once."""

    new: int = 0
    """a job was made"""
    linked_done: int = 0
    """the job is known and has its answer"""
    linked_pending: int = 0
    """the job is known and waits or runs"""
    requeued: int = 0
    """the job had failed or was cancelled, or was forced: it runs again"""
    invalid: int = 0
    """a row that could not become a job"""
    waiting: int = 0
    """a follow-up question, which earlier answers decide about"""

    def __add__(self, other: Added) -> Added:
        return Added(
            self.new + other.new,
            self.linked_done + other.linked_done,
            self.linked_pending + other.linked_pending,
            self.requeued + other.requeued,
            self.invalid + other.invalid,
            self.waiting + other.waiting,
        )

    @property
    def unfinished(self) -> int:
        """What waits for an answer now."""
        return self.new + self.linked_pending + self.requeued

    @property
    def total(self) -> int:
        return self.new + self.linked_done + self.linked_pending + self.requeued + self.invalid


@dataclass(frozen=True, kw_only=True, slots=True)
class InvalidRow:
    """A row of the input that could not become a job; it stays in the batch with its code and sentence."""

    row: int
    code: str
    message: str
    custom_id: str | None = None
    columns: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """How a batch's items stand. Rows that could not become a job count as failed."""

    total: int = 0
    queued: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def unfinished(self) -> int:
        return self.queued + self.running


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """What hung on a batch when it was paused, resumed or cancelled."""

    open: int
    """its items that had not ended"""
    shared: int
    """their jobs that go on, since other batches want them"""
    running: int
    """the other jobs that a worker held"""


class Lease(StrEnum):
    """What a worker is told when it renews its lease."""

    HELD = "held"
    DRAINING = "draining"
    """held, but a person asked the worker to take nothing new and to end"""
    LOST = "lost"
    """taken back meanwhile, and with it all jobs: join again"""


@dataclass(frozen=True, kw_only=True)
class BuildFacts:
    """A model build as its files tell it: what answers name as their origin."""

    digest: bytes
    """of all files but the manifest"""
    family: str
    precision: str
    """read from the weights, never from a name"""
    path: str
    stamp: str
    """names, sizes and mtimes of the files: unchanged means no need to hash again"""
    source: str | None = None
    revision: str | None = None
    recipe: Mapping[str, Any] | None = None
    tools: Mapping[str, str] | None = None
    licence: str | None = None


@dataclass(frozen=True, slots=True)
class KnownBuild:
    """A build's row and its digest."""

    id: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class AliasRow:
    """The build an alias stands for."""

    build: int
    digest: bytes
    path: str
