from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import SetupError
from pipeline.locators import Picture
from pipeline.sources.beside import beside
from pipeline.sources.rows import BadRow, Row, Rows


def some(count: int) -> Rows:
    for number in range(count):
        if number % 10 == 3:
            yield BadRow(message=f"line {number}", custom_id=str(number), columns={"x": [1, None]})
            continue
        pictures = (Picture(f"file:///{number}.jpg", number, None), Picture("file:///\udcff"))
        columns = {"n": number, "text": "ä\udcff\0"} if number % 2 else None
        yield Row(pictures=pictures, custom_id=str(number), columns=columns, questions=("Q?",), system="Be brief.")


def plain(rows: Rows) -> list[object]:
    def values(row: Row | BadRow) -> Iterator[object]:
        yield type(row)
        for name in row.__slots__:
            value = getattr(row, name)
            yield dict(value) if name == "columns" and value is not None else value

    return [tuple(values(row)) for row in rows]


def children() -> set[str]:
    """Processes that this one has begun; other tests keep servers."""
    return {child for task in Path("/proc/self/task").iterdir() for child in (task / "children").read_text().split()}


@pytest.mark.parametrize("count", [0, 7, 1234])
def test_the_rows_are_the_same(count: int) -> None:
    before = children()
    assert plain(beside(some(count))) == plain(some(count))
    assert children() == before


def test_who_takes_no_more_ends_the_process() -> None:
    before = children()
    rows = beside(some(1_000_000))
    assert isinstance(next(rows), Row)
    assert len(children() - before) == 1
    rows.close()  # type: ignore[attr-defined]
    assert children() == before


def test_what_goes_wrong_there_is_raised_here_after_the_rows_before() -> None:
    def failing() -> Rows:
        yield from some(2)
        raise LookupError("a mistake of ours")

    before = children()
    rows = beside(failing())
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        list(rows)
    assert children() == before


def test_a_killed_process_is_no_end_of_the_rows() -> None:
    parent = os.getpid()

    def killed() -> Rows:
        yield from some(600)
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    rows = beside(killed())
    assert isinstance(next(rows), Row)
    with pytest.raises(SetupError, match="was killed"):
        list(rows)
