"""Submitting: rows and prompts become the items of a batch."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice

from pipeline.errors import RowInvalid
from pipeline.jobs import Item, JobSpec
from pipeline.locators import Picture
from pipeline.prompts import Ask, Prompt
from pipeline.sources.rows import BadRow, Row, rows_of
from pipeline.store import Store
from pipeline.store.values import Added, InvalidRow

Entry = Item | InvalidRow
"""what becomes of a row: an item for each question, or a row that failed before it was asked"""
Asking = Callable[[Row], Sequence[Ask]]
"""what is asked about a row. Raises RowInvalid when the row lacks what the questions need"""

FIRST_CHUNK = 64
"""Items stored before the first answers can begin; later chunks grow, for fewer transactions."""
LARGEST_CHUNK = 10_000
_COLLECTED_AFTER = 50_000
"""objects that are made before Python looks for cycles among them; 700 otherwise"""


def ask_each(
    pictures: Iterable[Picture], prompts: Sequence[Prompt], model: str, device_class: str | None = None
) -> Iterator[Entry]:
    """Every prompt about every picture."""
    asked = Ask.all(prompts)
    return ask(rows_of(pictures), lambda row: asked, model, device_class)


def ask(rows: Iterable[Row | BadRow], asking: Asking, model: str, device_class: str | None = None) -> Iterator[Entry]:
    """What is asked about each row; the questions about one row stay side by side."""
    for number, row in enumerate(rows):
        if isinstance(row, BadRow):
            yield _invalid(number, row)
            continue
        try:
            if not row.pictures:
                raise RowInvalid(why="it names no picture")
            asked = asking(row)
        except RowInvalid as error:
            yield _invalid(number, BadRow(message=str(error), custom_id=row.custom_id, columns=row.columns))
            continue
        for place, one in enumerate(asked):
            spec = JobSpec.of(row.pictures, one.prompt, model, device_class)
            yield Item(spec, number, place, row.custom_id, row.columns, one.name, one.when)


def submit(store: Store, batch: int, entries: Iterable[Entry], *, force: bool = False) -> Iterator[Added]:
    """Add entries to a batch chunk by chunk, yielding what became of each chunk, and seal it at the end."""
    rows = 0
    with _collecting_rarely():
        for chunk in growing_chunks(entries):
            yield _add(store, batch, chunk, force=force)
            rows = chunk[-1].row + 1
    store.seal(batch, rows)


def rehearse(store: Store, entries: Iterable[Entry], *, force: bool = False) -> Added:
    """What submitting these entries would do."""
    chunks = _whole_rows(growing_chunks(entries))
    with _collecting_rarely():
        return sum((_rehearse(store, chunk, force=force) for chunk in chunks), Added())


def _add(store: Store, batch: int, chunk: Sequence[Entry], *, force: bool) -> Added:
    items, invalid = _parted(chunk)
    if invalid:
        store.add_invalid(batch, invalid)
    return (store.add(batch, items, force=force) if items else Added()) + Added(invalid=len(invalid))


def _rehearse(store: Store, chunk: Sequence[Entry], *, force: bool) -> Added:
    items, invalid = _parted(chunk)
    return store.rehearse(items, force=force) + Added(invalid=len(invalid))


def _parted(chunk: Iterable[Entry]) -> tuple[list[Item], list[InvalidRow]]:
    items: list[Item] = []
    invalid: list[InvalidRow] = []
    for entry in chunk:
        if isinstance(entry, Item):
            items.append(entry)
        else:
            invalid.append(entry)
    return items, invalid


def _invalid(number: int, row: BadRow) -> InvalidRow:
    return InvalidRow(row=number, code=row.code, message=row.message, custom_id=row.custom_id, columns=row.columns)


@contextmanager
def _collecting_rarely() -> Iterator[None]:
    """Thousands of rows at a time, without cycles among them: looking for some took a third of the time."""
    before = gc.get_threshold()
    gc.set_threshold(_COLLECTED_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def growing_chunks(entries: Iterable[Entry], largest: int = LARGEST_CHUNK) -> Iterator[list[Entry]]:
    """Lists of entries, the first small, each twice the one before."""
    source = iter(entries)
    size = FIRST_CHUNK
    for first in source:
        yield [*chain([first], islice(source, size - 1))]
        size = min(size * 2, largest)


def _whole_rows(chunks: Iterable[list[Entry]]) -> Iterator[list[Entry]]:
    """The chunks, each row in one of them: nothing is stored in which a follow-up could find what it depends on."""
    left: list[Entry] = []
    for chunk in chunks:
        left += chunk
        last = left[-1].row
        cut = next(place for place, entry in enumerate(left) if entry.row == last)
        yield left[:cut]
        left = left[cut:]
    yield left
