"""Bringing: a file comes to a place of its own, and never takes another's."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from pipeline.export.files import renamed

_BLOCK = 1 << 20
_LONGEST = 255
"""bytes of a file's name, on most file systems"""


def is_there(path: str) -> bool:
    """Whether a file is there; a link to one that went is not. Raises OSError where nobody can tell."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def bring(path: str, place: str) -> str:
    """Have a file at its place as well, or at one with a number when another file has that. Returns where it is.

    Another file is never overwritten, and one that was brought already is found again: a watcher that was killed
    before it removed the first goes on from there. Of a link it is the file that is brought.
    """
    path, given = os.path.realpath(path), path
    if path == os.path.realpath(place):
        return given
    for free in _places(place):
        try:
            os.link(path, free)
        except FileExistsError:
            if not _same(path, free):
                continue
        except OSError:  # another file system, or one without hard links
            if os.path.lexists(free) and not _same(path, free):
                continue
            _copy(path, free)
        return free
    raise AssertionError("there is always another number")


def remove(path: str, known: os.stat_result) -> None:
    """Remove a file that was known as this, unless another has taken its name since."""
    facts = os.lstat(path)
    if _identity(facts) == _identity(known):
        Path(path).unlink()


def _identity(facts: os.stat_result) -> tuple[int, int, int, int]:
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns


def shortened(name: str, ending: str) -> str:
    """A name with another ending, cut where file systems would refuse it."""
    return os.fsdecode(os.fsencode(name)[: _LONGEST - len(os.fsencode(ending))]) + ending


def sha256(path: str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _places(place: str) -> Iterator[str]:
    yield place
    folder, name = os.path.split(place)
    stem, ending = os.path.splitext(name)
    for number in count(1):
        yield os.path.join(folder, shortened(stem, f"-{number}{ending}"))


def _copy(path: str, place: str) -> None:
    with Path(path).open("rb") as source, renamed(Path(place)) as file:
        shutil.copyfileobj(source, file, _BLOCK)
        file.flush()
        os.fsync(file.fileno())
        shutil.copystat(path, file.name)


def _same(path: str, other: str) -> bool:
    if os.path.samefile(path, other):
        return True
    return os.path.isfile(other) and os.path.getsize(path) == os.path.getsize(other) and sha256(path) == sha256(other)
