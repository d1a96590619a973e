"""A file that is replaced as a whole or not at all."""

from __future__ import annotations

import fcntl
import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from pipeline.errors import SetupError, UsageError

STDOUT = "-"
AMONG = ".pixmill."
"""begins the names of unfinished files among others that are not ours"""
_PART = ".part"


def shown(*targets: str | None) -> str:
    """The files as a person calls them."""
    return " and ".join("standard output" if target == STDOUT else target for target in targets if target)


@contextmanager
def replacing(target: str) -> Iterator[TextIO]:
    """A text file that takes the target's place on a clean exit; `-` is stdout.

    What is no file (a pipe, /dev/stdout, /dev/null) is written as it stands: a rename would put a
    file in its place.
    """
    if target == STDOUT:
        yield sys.stdout
        return
    with replacing_bytes(target) as file, complaining(target):
        text = io.TextIOWrapper(file, encoding="utf-8", newline="\n")
        try:
            yield text
        finally:
            text.detach()


@contextmanager
def replacing_bytes(target: str) -> Iterator[BinaryIO]:
    """The same for bytes."""
    if target == STDOUT:
        yield sys.stdout.buffer
        return
    with complaining(target):
        mode = _mode(target)
        if mode is not None and stat.S_ISDIR(mode):
            raise UsageError(detail=f"{target} is a folder: name the file to write, such as {target}/answers.jsonl.")
        if mode is not None and not stat.S_ISREG(mode):
            with Path(target).open("wb") as file:
                yield file
        else:
            with _lone(Path(os.path.realpath(target))) as file:
                yield file


@contextmanager
def _lone(place: Path) -> Iterator[BinaryIO]:
    begin = f".{place.name}."
    sweep(place.parent, begin)
    with renamed(place, begin) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def renamed(place: Path, begin: str = AMONG) -> Iterator[BinaryIO]:
    """A file beside its place, which takes it on a clean exit. Raises OSError."""
    unfinished = part(place.parent, begin)
    try:
        with unfinished.open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
            file.flush()
            unfinished.replace(place)
    finally:
        unfinished.unlink(missing_ok=True)


def part(folder: Path, begin: str = AMONG) -> Path:
    """The name of an unfinished file of this process."""
    return folder / f"{begin}{os.getpid()}{_PART}"


def sweep(folder: Path, begin: str = AMONG) -> None:
    """Remove what a killed export left unfinished: nobody holds its lock any more."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(begin) and entry.name.endswith(_PART)]
    for name in names:
        if name.removeprefix(begin).removesuffix(_PART).isdigit():
            _remove_unless_held(folder / name)


def _remove_unless_held(path: Path) -> None:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except OSError:
        return  # it is at work, or was put in its place meanwhile, or is another person's


def _mode(target: str) -> int | None:
    try:
        return os.stat(target).st_mode
    except FileNotFoundError:
        return None


@contextmanager
def complaining(target: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise  # a reader that has seen enough
    except OSError as error:
        raise SetupError(detail=f"{target} cannot be written: {(error.strerror or str(error)).lower()}") from error
