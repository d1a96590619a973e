"""Exports: rows become files that other tools read. `EXPORTERS` is the table of formats.

An exporter is called with the target's name and is a context manager that gives a writer. Left in
peace, it puts the finished file in its place; left by an exception, it leaves what was there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Protocol

from pipeline.export.jsonl import jsonl
from pipeline.store.rows import ItemRow


class Writer(Protocol):
    """What an exporter gives."""

    def write(self, item: ItemRow) -> None: ...


EXPORTERS: dict[str, Callable[[str], AbstractContextManager[Writer]]] = {
    "jsonl": jsonl,
}


def export(items: Iterable[ItemRow], format: str, target: str) -> int:
    """Write the items; the number is how many there were."""
    count = 0
    with EXPORTERS[format](target) as writer:
        for item in items:
            writer.write(item)
            count += 1
    return count
