from __future__ import annotations

import pytest

from pipeline.errors import UsageError
from workers.cores import parse, spelled

HERE = range(8)


@pytest.mark.parametrize(
    ("text", "cores"),
    [("0", (0,)), ("0-3", (0, 1, 2, 3)), ("6, 0,2-3", (0, 2, 3, 6)), ("1,1-2", (1, 2)), ("7-7", (7,))],
)
def test_numbers_and_ranges(text: str, cores: tuple[int, ...]) -> None:
    assert parse(text, HERE) == cores


@pytest.mark.parametrize("text", ["", "a", "3-1", "-1", "1-", "0,,1", "0:3", "99999"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="takes numbers and ranges"):
        parse(text, HERE)


def test_cores_that_are_not_there_are_refused() -> None:
    with pytest.raises(UsageError, match=r"no core 8 here. Cores: 0-7"):
        parse("6-9", HERE)


def test_cores_are_spelled_as_they_are_read() -> None:
    assert spelled([5, 0, 1, 2, 7, 8]) == "0-2,5,7-8"
    assert parse(spelled([5, 0, 7]), HERE) == (0, 5, 7)
