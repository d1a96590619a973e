"""A file of answers that grows while they come, and goes on where an earlier run was stopped or killed.

What stands in it counts: a last line that was torn is cut off, answers are not written twice, and errors of an
earlier run go, since what failed is asked again. Whatever is no line of ours is not touched: that file is refused.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import OutputForeign, OutputTaken, UsageError
from pipeline.export.files import STDOUT, complaining
from pipeline.export.openai import ID

_BEGINNING = f'{{"id": "{ID}'.encode()


@dataclass
class Growing:
    """An open file. Lines with these ids stand in it already."""

    target: str
    file: BinaryIO
    standing: set[str] = field(default_factory=set)
    """ids that no item was seen for yet"""
    written: int = 0

    def write(self, line: str) -> None:
        """Add a line, unless it stands there."""
        id = _id(line)
        if id in self.standing:
            self.standing.remove(id)
            return
        with complaining(self.target):
            self.file.write(line.encode())
        self.written += 1

    def flush(self) -> None:
        with complaining(self.target):
            self.file.flush()

    def drop_strangers(self) -> None:
        """Take out the lines no item was seen for: answers to what was asked another time."""
        if self.standing:
            self.flush()
            with complaining(self.target):
                _rewrite(Path(self.target), lambda line: _id(line) not in self.standing)


@contextmanager
def growing(target: str) -> Iterator[Growing]:
    """The file, made or taken up. `-` is stdout; what is no regular file is written as it is.

    Raises OutputForeign when it holds something else, OutputTaken when another program writes it.
    """
    if target == STDOUT:
        yield Growing(target, sys.stdout.buffer)
        return
    with complaining(target):
        mode = _mode(target)
        if mode is not None and stat.S_ISDIR(mode):
            raise UsageError(detail=f"{target} is a folder: name the file to write, such as {target}/out.jsonl.")
        with ExitStack() as stack:
            if mode is None or stat.S_ISREG(mode):
                yield _taken_up(target, stack)
            else:
                yield Growing(target, stack.enter_context(Path(target).open("wb")))


def _mode(target: str) -> int | None:
    try:
        return os.stat(target).st_mode
    except FileNotFoundError:
        return None


def _taken_up(target: str, stack: ExitStack) -> Growing:
    """A regular file, with nothing in it but whole answers."""
    path = Path(target)
    file = stack.enter_context(_opened(path))
    standing: set[str] = set()
    whole, failed = 0, False
    for number, line in enumerate(_lines(path), 1):
        id, answered = _read(line, path, number)
        if id is not None:
            whole += len(line)
            failed = failed or not answered
            standing.update([id] if answered else [])
    file.truncate(whole)
    if failed:
        _rewrite(path, lambda line: _read(line, path, 0)[1])
        file = stack.enter_context(_opened(path))
    return Growing(target, file, standing)


def _opened(path: Path) -> BinaryIO:
    """The file to write at its end, for us alone."""
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise OutputTaken(path=path) from None
    return file


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def _read(line: bytes, path: Path, number: int) -> tuple[str | None, bool]:
    """A line's id and whether it is an answer; without an id it is the torn beginning of one."""
    if not line.endswith(b"\n") and _BEGINNING.startswith(line[: len(_BEGINNING)]):
        return None, False
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
        found = json.loads(line)
        if line.endswith(b"\n") and found["id"].startswith(ID):
            return found["id"], found["error"] is None
    raise OutputForeign(path=path, line=number)


def _id(line: str | bytes) -> str:
    return str(json.loads(line)["id"])


def _rewrite(path: Path, keep: Callable[[bytes], bool]) -> None:
    """Leave only some of the lines, in one go."""
    place = Path(os.path.realpath(path))
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        with place.open("rb") as old, part.open("wb") as new:
            new.writelines(line for line in old if keep(line))
            new.flush()
            os.fsync(new.fileno())
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)
