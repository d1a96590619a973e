"""pipeline.export.table and csv: cells, names and kinds. Foreign readers: tests/integration/test_exports.py."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.export import export
from pipeline.export.order import Order, Tally
from pipeline.export.table import FIELDS, Kind, table
from pipeline.store.rows import ItemRow
from tests.items import NASTY, item


def written(path: Path, *items: ItemRow, **options: Any) -> list[dict[str, str]]:
    export(items, "csv", Order(target=str(path), **options))
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def kinds(tmp_path: Path, *values: Any) -> tuple[Kind, list[Any]]:
    """The kind of a column that holds these values, and the values then."""
    with table((), str(tmp_path / "x"), Tally()) as rows:
        for value in values:
            rows.write(item(0, columns={"theirs": value}))
        (column,) = rows.columns()
        return column.kind, [cell for (cell,) in rows.rows()]


def test_one_row_for_each_item_with_answer_or_failure(tmp_path: Path) -> None:
    rows = written(tmp_path / "out.csv", item(0, custom_id="a", name="kind"), item(1, text=None))
    assert list(rows[0]) == [field.name for field in FIELDS]
    assert (rows[0]["custom_id"], rows[0]["name"], rows[0]["text"], rows[0]["state"]) == ("a", "kind", "a cat", "done")
    assert (rows[1]["text"], rows[1]["error_code"]) == ("", "image_missing")
    assert (rows[0]["created"], rows[0]["cached"]) == ("1970-01-12T13:46:40.250Z", "false")


def test_columns_of_all_rows_come_back_under_their_names(tmp_path: Path) -> None:
    one, two, three = written(
        tmp_path / "out.csv",
        item(0, columns={"shelf": 3}),
        item(1, columns={"tags": ["a", "b"], "shelf": None}),
        item(2),
    )
    assert list(one)[-2:] == ["shelf", "tags"]
    assert [(row["shelf"], row["tags"]) for row in (one, two, three)] == [("3", ""), ("", '["a", "b"]'), ("", "")]


def test_their_names_that_are_ours_too_have_a_prefix_and_no_two_fall_together(tmp_path: Path) -> None:
    theirs = {"text": 1, "column_text": 2, "column_column_text": 3, "column_other": 4}
    (row,) = written(tmp_path / "out.csv", item(0, columns=theirs))
    assert row["text"] == "a cat"
    found = {name: value for name, value in row.items() if name.startswith("column")}
    assert found == {
        "column_text": "1",
        "column_column_text": "2",
        "column_column_column_text": "3",
        "column_other": "4",
    }


@pytest.mark.parametrize(
    ("values", "kind", "cells"),
    [
        ((1, None, 2), Kind.INTEGER, [1, None, 2]),
        ((1, 2.5), Kind.NUMBER, [1, 2.5]),
        ((True, False), Kind.SWITCH, [True, False]),
        ((True, 1), Kind.TEXT, ["true", "1"]),
        (("a", 1, [2]), Kind.TEXT, ["a", "1", "[2]"]),
        ((2**60,), Kind.INTEGER, [2**60]),
        ((2**60, 0.5), Kind.TEXT, [str(2**60), "0.5"]),
        ((2**64,), Kind.TEXT, [str(2**64)]),
        ((None,), Kind.TEXT, [None]),
        (("b\udcff", "\ud800"), Kind.TEXT, ["b\\xff", "\\ud800"]),
    ],
)
def test_a_column_has_the_kind_that_loses_nothing(
    tmp_path: Path, values: tuple[Any, ...], kind: Kind, cells: list[Any]
) -> None:
    assert kinds(tmp_path, *values) == (kind, cells)


def test_texts_come_back_exactly(tmp_path: Path) -> None:
    rows = written(tmp_path / "out.csv", *(item(row, text=text) for row, text in enumerate(NASTY)))
    assert [row["text"] for row in rows] == list(NASTY)


def test_nothing_and_an_empty_text_differ(tmp_path: Path) -> None:
    export([item(0, text="", custom_id=None)], "csv", Order(target=str(tmp_path / "out")))
    head, row = (tmp_path / "out").read_text().splitlines()
    cells = dict(zip(head.split(","), row.split(","), strict=True))
    assert (cells['"custom_id"'], cells['"text"'], cells['"row"']) == ("", '""', "0")


def test_for_a_spreadsheet_no_text_is_a_formula(tmp_path: Path) -> None:
    texts = ["=1+2", "+1", "-1", "@x", "\t=1", "\r=1", "a=1", "'=1"]
    items = [item(row, text=text, columns={"-theirs": 1}) for row, text in enumerate(texts)]
    rows = written(tmp_path / "safe.csv", *items, spreadsheet=True)
    assert (tmp_path / "safe.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    assert [row["text"] for row in rows] == [*(f"'{text}" for text in texts[:6]), *texts[6:]]
    assert list(rows[0])[-1] == "'-theirs"
    exact = written(tmp_path / "exact.csv", *items)
    assert [row["text"] for row in exact] == texts


def test_a_name_that_is_no_text_is_seen_and_its_locator_is_exact(tmp_path: Path) -> None:
    (row,) = written(tmp_path / "out.csv", item(0, b"/p/\xff\n.jpg", "/p/b.jpg"))
    assert row["locator"] == "file:///p/%FF%0A.jpg"
    assert json.loads(row["more_locators"]) == ["file:///p/b.jpg"]
