"""A picture's bytes, read once and never more of them than allowed."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.errors import ForbiddenPath, ImageMissing, ImageTooLarge, ImageUnreadable

# Without O_NONBLOCK, opening a FIFO that nobody writes to waits for ever.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file held when it was read, and what the file system said of it."""

    data: bytes
    size: int
    mtime_ns: int


def read(path: bytes, *, max_bytes: int, roots: Sequence[bytes] | None = None) -> Contents:
    """The bytes of a regular file that lies, links followed, below one of the roots (none: anywhere)."""
    try:
        return _read(path, max_bytes, roots)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise ImageMissing from error
    except OSError as error:
        raise ImageUnreadable(why=(error.strerror or type(error).__name__).lower()) from error


def _read(path: bytes, max_bytes: int, roots: Sequence[bytes] | None) -> Contents:
    if roots is not None:
        _check_place(os.path.realpath(path), roots)
    _check_kind(os.stat(path))  # first: merely opening a FIFO would wake whoever waits at its other end
    fd = os.open(path, _FLAGS)
    try:
        if roots is not None:  # again, of what was really opened: links can change between two looks
            _check_place(os.readlink(b"/proc/self/fd/%d" % fd), roots)
        facts = os.fstat(fd)
        _check_kind(facts)
        return Contents(_read_up_to(fd, facts.st_size, max_bytes), facts.st_size, facts.st_mtime_ns)
    finally:
        os.close(fd)


def _check_place(path: bytes, roots: Sequence[bytes]) -> None:
    if not any(path.startswith(os.path.join(root, b"")) for root in roots):
        raise ForbiddenPath


def _check_kind(facts: os.stat_result) -> None:
    if stat.S_ISDIR(facts.st_mode):
        raise ImageUnreadable(why="it is a directory")
    if not stat.S_ISREG(facts.st_mode):
        raise ImageUnreadable(why="it is not a regular file")


def _read_up_to(fd: int, size: int, max_bytes: int) -> bytes:
    """All of the file. Its size is only a hint: files grow, and those of /proc say 0."""
    if size > max_bytes:
        raise ImageTooLarge(why=f"{size:,} bytes, the limit is {max_bytes:,}")
    chunks: list[bytes] = []
    got = 0
    while chunk := os.read(fd, max(size + 1 - got, _CHUNK)):
        chunks.append(chunk)
        got += len(chunk)
        if got > max_bytes:
            raise ImageTooLarge(why=f"more than {max_bytes:,} bytes")
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
