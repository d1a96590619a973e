"""A JSON document that is one list, written an entry at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from pipeline.display import to_json
from pipeline.export.files import replacing
from pipeline.export.order import Order, Tally


class Listed:
    """The list; each entry stands on a line of its own."""

    def __init__(self, file: TextIO, tally: Tally) -> None:
        self._file, self._tally = file, tally
        self._before = "[\n"

    def add(self, entry: Any) -> None:
        self._file.write(self._before + to_json(entry, ascii_only=True))
        self._before = ",\n"
        self._tally.wrote()

    def end(self) -> None:
        self._file.write("[]\n" if self._before == "[\n" else "\n]\n")


@contextmanager
def listed(order: Order, tally: Tally) -> Iterator[Listed]:
    with replacing(order.file) as file:
        entries = Listed(file, tally)
        yield entries
        entries.end()
