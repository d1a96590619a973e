"""Results that are written while a batch is answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from pipeline.errors import UsageError
from pipeline.export.results import LOOK_EVERY_S, results
from pipeline.jobs import State
from pipeline.store.following import Mark
from pipeline.store.rows import ItemRow
from pipeline.store.views import Views
from tests.store_world import Clock


class Ends:
    """Stands for the views: items end in pages, one a look."""

    def __init__(self) -> None:
        self.pages: list[list[ItemRow]] = []
        self.looks = 0

    def ended_since(self, batch: str, mark: Mark, end: int | None) -> tuple[list[ItemRow], Mark]:
        self.looks += 1
        return (self.pages.pop(0), Mark((self.looks, 0))) if self.pages else ([], mark)


def failed(name: str) -> ItemRow:
    empty: dict[str, Any] = dict.fromkeys(ItemRow.__dataclass_fields__)
    told = {"custom_id": name, "state": State.FAILED, "error_code": "row_invalid", "error": "no", "pictures": ()}
    return ItemRow(**{**empty, **told})


def ids(path: Path) -> list[str]:
    return [json.loads(line)["custom_id"] for line in path.read_text().splitlines()]


def test_lines_come_at_intervals_and_all_at_the_end(tmp_path: Path) -> None:
    out, ends, clock = tmp_path / "out.jsonl", Ends(), Clock()
    views = cast(Views, ends)
    with results(str(out), None, live=True) as written:
        written.now = clock  # type: ignore[attr-defined]
        ends.pages = [[failed("a")], [failed("b")]]
        written.follow(views, "x", None)
        assert ids(out) == ["a", "b"]
        ends.pages = [[failed("c")]]
        looks = ends.looks
        written.follow(views, "x", None)
        assert (ids(out), ends.looks) == (["a", "b"], looks)
        clock.pass_(LOOK_EVERY_S)
        written.follow(views, "x", None)
        assert ids(out) == ["a", "b", "c"]
        ends.pages = [[failed(str(number))] for number in range(40)]
        assert written.finish(views, "x", None, complete=True) == 43
    assert ids(out) == ["a", "b", "c", *map(str, range(40))]


def test_one_look_does_not_keep_others_waiting_for_all_pages(tmp_path: Path) -> None:
    ends = Ends()
    ends.pages = [[failed(str(number))] for number in range(1000)]
    with results(str(tmp_path / "out"), None, live=True) as written:
        written.follow(cast(Views, ends), "x", None)
    assert 0 < len(ids(tmp_path / "out")) < 20


def test_what_cannot_be_meant() -> None:
    for output, errors in ((None, "err.jsonl"), ("out.jsonl", "out.jsonl")):
        with pytest.raises(UsageError, match="--errors"), results(output, errors, live=True):
            pytest.fail("opened")
