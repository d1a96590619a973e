"""A source of pictures: a web server or an object store, opened the same way."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from pipeline.remote.urls import Url
from pipeline.remote.waiting import Waiting


@dataclass(frozen=True, slots=True)
class Tag:
    """What a server calls the state of a picture, by which it tells later whether that has changed."""

    etag: str | None = None
    modified: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a source answers: that nothing has changed, or the bytes as they come."""

    tag: Tag = Tag()
    unchanged: bool = False
    size: int | None = None
    """how many bytes it says there are"""
    chunks: Iterable[bytes] = ()


class Hiccup(Exception):
    """It did not work this time, and may the next; `after` is when the server wants to be asked again."""

    def __init__(self, why: str, after: float = 0.0) -> None:
        super().__init__(why)
        self.why, self.after = why, after


class Source(Protocol):
    def open(self, url: Url, known: Tag, waiting: Waiting) -> AbstractContextManager[Reply]:
        """The picture, unless it is still as known. Raises JobError, Hiccup or Stopped."""

    def close(self) -> None: ...
