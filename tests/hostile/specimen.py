"""One hostile file: how it is made, and how asking about it may end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

Data = Callable[[], bytes]

ANSWERED = "answered"
MISSING, UNREADABLE, TRUNCATED = "image_missing", "image_unreadable", "image_truncated"
TOO_LARGE, UNSUPPORTED, TIMEOUT = "image_too_large", "image_unsupported", "image_timeout"

REFUSED = (UNREADABLE, TRUNCATED, TOO_LARGE, UNSUPPORTED)
"""what may be said of a file that is damaged anywhere"""
ANY = (ANSWERED, *REFUSED)


@dataclass(frozen=True, kw_only=True)
class Specimen:
    """A file of the corpus; its name says why it is there."""

    kind: str
    name: bytes
    make: Callable[[bytes], None]
    ends: frozenset[str]
    like: Data | None = None
    """a sound file: if there is an answer, it is about this picture"""

    @property
    def place(self) -> bytes:
        """Its path below the corpus's folder."""
        return os.path.join(self.kind.encode(), self.name)

    def write(self, folder: str | os.PathLike[str]) -> Path:
        path = os.path.join(os.fsencode(folder), self.place)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self.make(path)
        return Path(os.fsdecode(path))


Specimens = Iterator[Specimen]


def holding(kind: str, name: str, data: Data, *ends: str, like: Data | None = None) -> Specimen:
    """A regular file with these bytes."""
    return placed(kind, name.encode(), lambda path: _write(path, data()), *ends, like=like)


def placed(kind: str, name: bytes, make: Callable[[bytes], None], *ends: str, like: Data | None = None) -> Specimen:
    """Whatever `make` puts at a path."""
    return Specimen(kind=kind, name=name, make=make, ends=frozenset(ends), like=like)


def once(data: Data) -> Data:
    """The same bytes without drawing them again."""
    return cache(data)


def _write(path: bytes, data: bytes) -> None:
    Path(os.fsdecode(path)).write_bytes(data)
