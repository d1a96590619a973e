"""Jobs as values: what is asked, what a worker holds, and what came of it."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import blake2b
from typing import Any, NamedTuple

from pipeline.conditions import Condition
from pipeline.errors import InvalidAnswer
from pipeline.locators import Picture
from pipeline.prompts import Prompt, Sampling, canonical

LARGEST_ID = 2**63 - 1
"""what the databases' columns hold; ids from people and messages may be anything"""
RETRIED_WITH = 0.7
"""the temperature for another try at an answer that has to have a form"""


class State(StrEnum):
    """Where a job stands. `Store` alone moves it."""

    QUEUED = "queued"
    """waits for a worker, or for its back-off to pass"""
    RUNNING = "running"
    """claimed: a worker with a lease holds it under a token"""
    DONE = "done"
    """has an answer"""
    FAILED = "failed"
    """ended with a code and a sentence"""
    CANCELLED = "cancelled"
    """a person or a deadline ended it, and no other batch wants it"""


class BatchState(StrEnum):
    """Where a batch stands, in the words of the OpenAI Batch API and one of ours."""

    VALIDATING = "validating"
    """its command is still adding items; jobs run already"""
    IN_PROGRESS = "in_progress"
    PAUSED = "paused"
    COMPLETED = "completed"
    """each item ended, well or badly"""
    EXPIRED = "expired"
    """its deadline passed first"""
    CANCELLED = "cancelled"


LIVE = (BatchState.VALIDATING, BatchState.IN_PROGRESS)


class Lane(StrEnum):
    """Strict priorities: a high job goes before any normal one."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


LANES: dict[str, int] = {Lane.LOW: 0, Lane.NORMAL: 1, Lane.HIGH: 2}
"""lane -> the number the tables hold, so that the highest is max()"""


# These two are tuples, as rows and pictures are: frozen dataclasses would cost a million of each half a second more.
class JobSpec(NamedTuple):
    """One question about one picture (or several), for one model."""

    pictures: tuple[Picture, ...]
    prompt: Prompt
    model: str
    device_class: str | None
    key: bytes
    """equal for equal work: the pictures' places in order, the prompt, the model, the device class"""

    @classmethod
    def of(cls, pictures: tuple[Picture, ...], prompt: Prompt, model: str, device_class: str | None = None) -> JobSpec:
        places = "".join([f"{picture.locator}\n{picture.size}\n{picture.mtime_ns}\n" for picture in pictures])
        asked = f"{places}{model}\n{device_class}".encode()
        folder = pictures[0].locator.rpartition("/")[0]
        own = blake2b(prompt.digest + asked, digest_size=12).digest()
        return cls(pictures, prompt, model, device_class, _folder_key(folder) + own)


@functools.lru_cache
def _folder_key(folder: str) -> bytes:
    """What the keys of a folder's pictures begin with, so that they lie side by side in the index of keys.

    Without it each chunk of a large submission wrote most pages of that index anew: of the time to commit a million
    rows (SQLite 3.40) that was three fifths.
    """
    return blake2b(folder.encode(), digest_size=4).digest()


class Item(NamedTuple):
    """A row of a batch. `row` counts the input's rows, `ask` the questions within a row."""

    spec: JobSpec
    row: int
    ask: int = 0
    custom_id: str | None = None
    columns: Mapping[str, Any] | None = None
    name: str | None = None
    """the question's"""
    when: tuple[Condition, ...] = ()
    """asked only if all of these hold for answers of the same row, with lower `ask`"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A job a worker holds. Whatever it writes about the job is fenced by the token."""

    id: int
    token: int
    pictures: tuple[Picture, ...]
    prompt: Prompt
    model: str
    device_class: str | None
    crashes: int
    attempts: int = 0
    """tries that failed, since it was queued anew"""
    failed_with: str | None = None
    """the code of the last of them"""
    fresh: bool
    queued_s: float
    """how long the job had waited when it was claimed"""

    @property
    def sampling(self) -> Sampling:
        """How tokens are chosen now: after an answer without the asked form not as before, which would repeat it."""
        asked = self.prompt.sampling
        if self.failed_with != InvalidAnswer.code or not asked.repeatable:
            return asked
        return replace(asked, temperature=asked.temperature or RETRIED_WITH, seed=(asked.seed or 0) + self.attempts)


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureRead:
    """What a decoder found in a picture's file."""

    sha256: bytes
    bytes: int
    width: int
    height: int
    format: str
    changed: bool = False
    """the file differs in size or mtime from when the job was submitted"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A text for a claimed job, with all that says how it came about."""

    job: int
    token: int
    text: str
    finish_reason: str
    prompt_tokens: int
    answer_tokens: int
    pictures: Sequence[PictureRead]
    content_key: bytes | None = None
    """what equal content would ask again; none when the answer must never be taken from the cache"""
    parsed: Any = None
    logprob: float | None = None
    seed: int | None = None
    queue_s: float = 0.0
    read_s: float = 0.0
    vision_s: float = 0.0
    first_token_s: float = 0.0
    total_s: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheHit:
    """A claimed job whose content was answered before: `answer` is the row to copy."""

    job: int
    token: int
    answer: int
    pictures: Sequence[PictureRead]
    content_key: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why a claimed job did not get an answer this time. `errors.is_retried(code)` says whether it is tried again."""

    job: int
    token: int
    code: str
    message: str
    pictures: Sequence[PictureRead] = ()
    final: bool = False
    """another try is known to be useless, whatever the code says"""


def content_key(sha256s: Sequence[bytes], prompt: Prompt, build: bytes, device_class: str | None) -> bytes | None:
    """What equal content would ask again, or none when each answer is meant to differ."""
    if not prompt.sampling.repeatable:
        return None
    digest = blake2b(prompt.digest, digest_size=16)
    for sha256 in sha256s:
        digest.update(sha256)
    digest.update(canonical([build.hex(), device_class]))
    return digest.digest()
