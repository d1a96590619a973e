"""pipeline.sources.shuffling: every row once, in an order that a seed decides."""

from __future__ import annotations

import errno
import tempfile
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.errors import SetupError
from pipeline.locators import Picture
from pipeline.prompts import Prompt, Sampling
from pipeline.sources.rows import BadRow, Row
from pipeline.sources.shuffling import shuffled


def plain(number: int) -> Row:
    return Row(pictures=(Picture(f"file:///{number}", number, number),))


def full() -> Row:
    return Row(
        pictures=(Picture("file:///a", 1, 2), Picture("https://x.org/b")),
        custom_id="id \udcff\n",
        columns={"a": [1, None, {"b": "ü"}], "c": 0.5},
        questions=("What?", "Where?"),
        system="Be brief.",
        prompts=(Prompt.ask("Q", system="S", sampling=Sampling(temperature=0.5, seed=7), form={"kind": "yes_no"}),),
    )


def test_rows_come_back_whole() -> None:
    bad = BadRow(message="no", code="row_invalid", custom_id="7", columns={"x": 1})
    assert list(shuffled([full()], 0)) == [full()]
    assert list(shuffled([bad], 0)) == [bad]


def test_all_of_them_in_another_order() -> None:
    rows = [plain(number) for number in range(1000)]
    mixed = list(shuffled(rows, 0))
    assert mixed != rows
    assert sorted(mixed, key=lambda row: row.pictures[0].size or 0 if isinstance(row, Row) else 0) == rows


def test_the_seed_decides() -> None:
    rows = [plain(number) for number in range(100)]
    assert list(shuffled(rows, 5)) == list(shuffled(rows, 5))
    assert list(shuffled(rows, 5)) != list(shuffled(rows, 6))


def test_none() -> None:
    assert list(shuffled([], 0)) == []


def test_rows_are_not_held_in_memory() -> None:
    def many() -> Iterator[Row]:
        for number in range(5_000):
            yield Row(pictures=(Picture(f"file:///{number:0500}"),))

    tracemalloc.start()
    count = sum(1 for _ in shuffled(many(), 0))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 5_000
    assert most < 500_000, "the rows take 2.5 million bytes"


def test_no_room_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(**_: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full_disk)
    with pytest.raises(SetupError, match=r"no space left on device.*TMPDIR"):
        list(shuffled([plain(1)], 0))
