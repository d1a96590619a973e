from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from pipeline.errors import RowInvalid
from pipeline.jobs import Item
from pipeline.locators import Picture
from pipeline.prompts import Ask, Prompt
from pipeline.sources.rows import BadRow, Row
from pipeline.store.values import InvalidRow
from pipeline.submit import ask, growing_chunks

PICTURE = Picture("file:///a.jpg")


def asking(row: Row) -> tuple[Ask, ...]:
    if row.custom_id == "odd":
        raise RowInvalid(why="it is odd")
    return Ask.all([Prompt.ask("What?"), Prompt.ask("Where?")])


def test_each_row_has_its_number_and_what_it_brought_also_one_that_cannot_be_asked() -> None:
    rows = [
        Row(pictures=(PICTURE,), custom_id="a", columns={"x": 1}),
        BadRow(message="line 2: no", custom_id="b"),
        Row(pictures=(PICTURE,), custom_id="odd", columns={"x": 3}),
        Row(pictures=(), custom_id="none"),
        Row(pictures=(PICTURE, PICTURE)),
    ]
    entries = list(ask(rows, asking, "m"))
    assert [(entry.row, entry.custom_id) for entry in entries] == [
        (0, "a"),
        (0, "a"),
        (1, "b"),
        (2, "odd"),
        (3, "none"),
        (4, None),
        (4, None),
    ]
    first, second, bad, odd, none, *_ = entries
    assert isinstance(first, Item) and isinstance(second, Item)
    assert (first.ask, second.ask, first.columns) == (0, 1, {"x": 1})
    assert first.spec.key != second.spec.key
    assert isinstance(bad, InvalidRow) and bad.message == "line 2: no"
    assert isinstance(odd, InvalidRow) and odd.columns == {"x": 3} and "it is odd" in odd.message
    assert isinstance(none, InvalidRow) and none.code == "row_invalid" and "names no picture" in none.message


def test_the_first_entries_are_handed_on_before_the_source_is_read_further() -> None:
    taken = 0

    def rows() -> Iterator[Row]:
        nonlocal taken
        for _ in range(10_000):
            taken += 1
            yield Row(pictures=(PICTURE,))

    chunks = growing_chunks(ask(rows(), asking, "m"))
    sizes = [len(chunk) for chunk in islice(chunks, 3)]
    assert sizes == sorted(sizes) and sizes[0] <= 64
    assert taken < 1_000
