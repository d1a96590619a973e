"""Rows in a random order, also a million of them: they lie in a temporary file, and only their places are mixed."""

from __future__ import annotations

import json
import os
import random
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from pipeline.errors import SetupError
from pipeline.locators import Picture
from pipeline.prompts import Prompt
from pipeline.sources.rows import BadRow, Row, Rows


def shuffled(rows: Iterable[Row | BadRow], seed: int) -> Rows:
    """All rows, in an order that the seed alone decides, so that the same command finds the same rows again."""
    with _file() as file:
        starts = _spill(rows, file)
        order = array("Q", range(len(starts) - 1))
        random.Random(seed).shuffle(order)
        for place in order:
            yield _row(os.pread(file.fileno(), starts[place + 1] - starts[place], starts[place]))


def _file() -> BinaryIO:
    """A file without a name: nothing of it stays, however this ends."""
    with _room_wanted():
        return tempfile.TemporaryFile()


def _spill(rows: Iterable[Row | BadRow], file: BinaryIO) -> array[int]:
    """Write the rows; where each begins, and where the last ends."""
    starts = array("Q", [0])
    for row in rows:
        line = _line(row)
        with _room_wanted():
            starts.append(starts[-1] + file.write(line))
    with _room_wanted():
        file.flush()
    return starts


@contextmanager
def _room_wanted() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        advice = "Free some space, or point TMPDIR to a larger disk."
        raise SetupError(detail=f"The rows cannot be put aside for --shuffle: {why}. {advice}") from error


def _line(row: Row | BadRow) -> bytes:
    values = row._asdict()
    values["columns"] = None if row.columns is None else dict(row.columns)
    if isinstance(row, Row):
        values["pictures"] = [(one.locator, one.size, one.mtime_ns) for one in row.pictures]
        values["prompts"] = [(one.messages, one.parameters, one.form) for one in row.prompts]
    return json.dumps([type(row).__name__, values]).encode()


def _row(line: bytes) -> Row | BadRow:
    kind, values = json.loads(line)
    return BadRow(**values) if kind == BadRow.__name__ else _good(values)


def _good(values: dict[str, Any]) -> Row:
    values["pictures"] = tuple(Picture(*one) for one in values["pictures"])
    values["prompts"] = tuple(Prompt.from_stored(*one) for one in values["prompts"])
    values["questions"] = tuple(values["questions"])
    return Row(**values)
