"""A file that someone named: opened only when it is a regular one, and lies where it may."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pipeline.errors import ForbiddenPath, ImageMissing, ImageUnreadable

# Without O_NONBLOCK, opening a FIFO that nobody writes to waits for ever.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file held when it was read, and what the file system said of it."""

    data: bytes
    size: int
    mtime_ns: int


@contextmanager
def opened(path: bytes, roots: Sequence[bytes] | None) -> Iterator[tuple[int, os.stat_result]]:
    """A file that lies, links followed, below one of the roots (none: anywhere), and what the file system says of it.

    Raises a `JobError`, also when reading it in the block fails.
    """
    try:
        fd = _open(path, roots)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise ImageMissing from error
    except OSError as error:
        raise _unreadable(error) from error
    try:
        yield fd, os.fstat(fd)
    except OSError as error:
        raise _unreadable(error) from error
    finally:
        os.close(fd)


def _open(path: bytes, roots: Sequence[bytes] | None) -> int:
    if roots is not None:
        _check_place(os.path.realpath(path), roots)
    _check_kind(os.stat(path))  # first: merely opening a FIFO would wake whoever waits at its other end
    fd = os.open(path, _FLAGS)
    try:
        if roots is not None:  # again, of what was really opened: links can change between two looks
            _check_place(os.readlink(b"/proc/self/fd/%d" % fd), roots)
        _check_kind(os.fstat(fd))
    except BaseException:
        os.close(fd)
        raise
    return fd


def _unreadable(error: OSError) -> ImageUnreadable:
    return ImageUnreadable(why=(error.strerror or type(error).__name__).lower())


def _check_place(path: bytes, roots: Sequence[bytes]) -> None:
    if not any(path.startswith(os.path.join(root, b"")) for root in roots):
        raise ForbiddenPath


def _check_kind(facts: os.stat_result) -> None:
    if stat.S_ISDIR(facts.st_mode):
        raise ImageUnreadable(why="it is a directory")
    if not stat.S_ISREG(facts.st_mode):
        raise ImageUnreadable(why="it is not a regular file")
