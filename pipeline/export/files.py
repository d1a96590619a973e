"""A file that is replaced as a whole or not at all."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from pipeline.errors import SetupError, UsageError

STDOUT = "-"


@contextmanager
def replacing(target: str) -> Iterator[TextIO]:
    """A text file that takes the target's place on a clean exit; `-` is stdout.

    What is no file (a pipe, /dev/stdout, /dev/null) is written as it stands: a rename would put a
    file in its place.
    """
    if target == STDOUT:
        yield sys.stdout
        return
    with _complaining(target):
        mode = _mode(target)
        if mode is not None and stat.S_ISDIR(mode):
            raise UsageError(detail=f"{target} is a folder: name the file to write, such as {target}/answers.jsonl.")
        writing = _written(target) if mode is not None and not stat.S_ISREG(mode) else _renamed(target)
        with writing as file:
            yield file


@contextmanager
def _renamed(target: str) -> Iterator[TextIO]:
    place = Path(os.path.realpath(target))
    unfinished = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        with unfinished.open("w", encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(place)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def _written(target: str) -> Iterator[TextIO]:
    with Path(target).open("w", encoding="utf-8", newline="\n") as file:
        yield file


def _mode(target: str) -> int | None:
    try:
        return os.stat(target).st_mode
    except FileNotFoundError:
        return None


@contextmanager
def _complaining(target: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise  # a reader that has seen enough
    except OSError as error:
        raise SetupError(detail=f"{target} cannot be written: {(error.strerror or str(error)).lower()}") from error
