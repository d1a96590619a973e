"""The cache: pictures that were fetched, in a folder that several processes share.

    ab/abcd....json      what is known of one address: its file, its size, what the server calls its state
    ab/abcd....3f9c      its bytes, under a new name each time
    new/3f9c             bytes that are still coming

A file that somebody reads or writes is locked (flock, which ends with its process), and what is locked is not
removed. A new state is written beside the old one and then renamed, so that a crash leaves nothing half-made.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.remote.source import Tag

FRESH_S = 60.0
"""A server is not asked again about what it has just sent."""
_ROOM = 0.9
"""Down to this share of the limit the cache is emptied when it is full."""
_LOOK_SHARE = 0.05
"""After this share of the limit has been written, its size is looked at."""
_LEFT_S = 60.0
"""What was touched so long ago by nobody who is alive will not be finished."""
_NEW = "new"
_ABOUT = ".json"


class Kept:
    """A picture in the cache, which stays there until this is closed, or forgotten."""

    def __init__(self, path: Path, tag: Tag, lock: int, *, fresh: bool) -> None:
        self.path, self.tag, self.fresh = path, tag, fresh
        self.close: Callable[[], object] = weakref.finalize(self, os.close, lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class _About:
    """What is written about an address. The address itself is not: it may hold what others should not read."""

    file: str
    size: int
    etag: str | None
    modified: str | None


class Cache:
    """A folder of fetched pictures. What was used longest ago goes first when it grows beyond `limit` bytes."""

    def __init__(self, folder: Path, limit: int, now: Callable[[], float] = time.time) -> None:
        self.folder, self._limit, self._now = folder, limit, now
        self._written = limit  # as if full: what others left is looked at once
        self._tidying = threading.Lock()

    def find(self, url: str) -> Kept | None:
        """What is kept of an address, if it is there as a whole."""
        about = self._about(url)
        try:
            facts, asked = _read(about), about.stat().st_mtime
            path = about.parent / facts.file
            lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except (OSError, ValueError, TypeError, KeyError):  # nothing there, being removed, or written by a stranger
            return None
        if not _pin(lock) or os.fstat(lock).st_size != facts.size:
            os.close(lock)
            return None
        os.utime(lock, (self._now(), self._now()))
        fresh = 0 <= self._now() - asked < FRESH_S
        return Kept(path, Tag(facts.etag, facts.modified), lock, fresh=fresh)

    def confirm(self, url: str) -> None:
        """The server has said that what is kept is still so."""
        with suppress(FileNotFoundError):  # the folder was emptied meanwhile
            os.utime(self._about(url), (self._now(), self._now()))

    def keep(self, url: str, tag: Tag, chunks: Iterable[bytes]) -> Kept:
        """Write the bytes as they come, and have them from then on. What raises in between leaves nothing."""
        about = self._about(url)
        token = secrets.token_hex(8)
        new = self._folder(_NEW) / token
        lock = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_SH)
            size = _write(lock, chunks)
            path = self._folder(about.parent.name) / f"{about.stem}.{token}"
            os.utime(new, (self._now(), self._now()))
            new.rename(path)
            self._tell(about, _About(path.name, size, tag.etag, tag.modified))
        except BaseException:
            os.close(lock)
            new.unlink(missing_ok=True)
            raise
        self._tidy_after(size)
        return Kept(path, tag, lock, fresh=True)

    def tidy(self) -> None:
        """Remove what nobody knows any more, and what was used longest ago where there is too much."""
        kept = sorted(self._files(), key=lambda found: found[1].st_mtime)
        total = sum(facts.st_size for _, facts in kept)
        room = total if total <= self._limit else int(self._limit * _ROOM)
        states = Counter(path.stem for path, _ in kept)  # to read what tells of each would take long
        for path, facts in kept:
            old = path.parent.name == _NEW or (states[path.stem] > 1 and not self._is_known(path))
            if (old or total > room) and self._remove(path):
                total -= facts.st_size

    def unused(self, before: float) -> Iterator[tuple[Path, int]]:
        """The pictures that nobody has used since, and their sizes."""
        yield from ((path, facts.st_size) for path, facts in self._files() if facts.st_mtime < before)

    def remove(self, path: Path) -> bool:
        """Remove a picture, unless somebody has it."""
        return self._remove(path)

    def kept(self, url: str) -> list[Path]:
        """All files that an address has here."""
        about = self._about(url)
        return sorted(about.parent.glob(f"{about.stem}.*"))

    def _tidy_after(self, size: int) -> None:
        self._written += size
        if self._written >= self._limit * _LOOK_SHARE and self._tidying.acquire(blocking=False):
            try:
                self._written = 0
                self.tidy()
            finally:
                self._tidying.release()

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Every file with bytes, and how it is; of those that were being written, what somebody left."""
        for folder, _, names in os.walk(self.folder):
            for path in (Path(folder) / name for name in names):
                with suppress(FileNotFoundError):  # another process was quicker
                    facts = path.stat()
                    if self._may_go(path, facts):
                        yield path, facts

    def _may_go(self, path: Path, facts: os.stat_result) -> bool:
        if path.parent.name == _NEW:  # a moment passes before a new file is locked
            return self._now() - facts.st_mtime > _LEFT_S
        return path.suffix != _ABOUT

    def _is_known(self, path: Path) -> bool:
        try:
            return _read(path.with_suffix(_ABOUT)).file == path.name
        except (OSError, ValueError, TypeError, KeyError):
            return False

    def _remove(self, path: Path) -> bool:
        """Remove a file unless somebody has it, first what tells of it."""
        try:
            lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self._is_known(path):
                path.with_suffix(_ABOUT).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
        except BlockingIOError:
            return False
        finally:
            os.close(lock)
        return True

    def _tell(self, about: Path, facts: _About) -> None:
        told = {"file": facts.file, "size": facts.size, "etag": facts.etag, "modified": facts.modified}
        draft = self._folder(_NEW) / f"{facts.file}{_ABOUT}"
        with draft.open("x", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            json.dump(told, file)
            file.flush()
            os.utime(draft, (self._now(), self._now()))
            draft.replace(about)

    def _about(self, url: str) -> Path:
        key = sha256(url.encode("utf-8", "surrogateescape")).hexdigest()
        return self.folder / key[:2] / f"{key}{_ABOUT}"

    def _folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder


def _read(about: Path) -> _About:
    return _About(**json.loads(about.read_text("utf-8")))


def _pin(lock: int) -> bool:
    """Hold a file so that nobody removes it. Not if somebody is just doing so, or has."""
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(lock).st_nlink > 0


def _write(file: int, chunks: Iterable[bytes]) -> int:
    size = 0
    for chunk in chunks:
        left = memoryview(chunk)
        while left:
            left = left[os.write(file, left) :]
        size += len(chunk)
    return size
