"""Reviews by file: what `review export` writes comes back through `review import`."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.review.reading import Read, read
from pipeline.review.writing import NAMES, write
from pipeline.settings import read_settings
from pipeline.store import Store
from pipeline.store.dialects import plain
from pipeline.store.reviews import Review, Verdict
from pipeline.tables import reviews
from tests.store_world import World, answer


@pytest.fixture
def told(world: World) -> World:
    """Three answers, one of which spreadsheets would take for a formula."""
    world.submit("a.jpg", "b.jpg", "c.jpg")
    claims = world.claim()
    world.finish(*(answer(claim, text) for claim, text in zip(claims, ("a cat", "=1+1", '«né»\n, "'), strict=True)))
    return world


def rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def fill(path: Path, *filled: dict[str, Any]) -> None:
    """As a person does: the rows as they are, with these cells filled in."""
    there = [row | cells for row, cells in zip(rows(path), filled, strict=False)]
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in there))
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, NAMES)
        writer.writeheader()
        writer.writerows(there)


def take(store: Store, path: Path, by: str | None = None) -> tuple[Read, list[str]]:
    complaints: list[str] = []
    return read(store, str(path), read_settings(), by=by, complain=complaints.append), complaints


def stored(world: World) -> list[tuple[Any, ...]]:
    return [(row.answer_id, row.verdict, row.text, row.reviewer) for row in world.rows(reviews.select())]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_there_and_back(told: World, store: Store, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"look{suffix}"
    assert write(store.views.answers(), str(path)) == 3
    assert [str(row["answer"]) for row in rows(path)] == ["3", "2", "1"]
    assert rows(path)[0]["said"] == '«né»\n, "'
    assert rows(path)[1]["said"] == ("'=1+1" if suffix == ".csv" else "=1+1")
    assert take(store, path) == (Read(silent=3), [])
    fill(path, {"verdict": "Wrong "}, {"text": "=2"}, {"verdict": "right"})
    assert take(store, path, by="ann") == (Read(stored=3), [])
    assert stored(told) == [(3, "wrong", None, "ann"), (2, "corrected", "=2", "ann"), (1, "right", None, "ann")]
    assert take(store, path) == (Read(known=3), [])
    write(store.views.answers(), str(path))
    assert take(store, path) == (Read(known=3), [])
    assert len(stored(told)) == 3


def test_bad_rows_are_told_with_their_line_and_the_others_are_stored(told: World, store: Store, tmp_path: Path) -> None:
    path = tmp_path / "look.csv"
    path.write_text(
        "answer;verdict;text\n1;right;\n2;perhaps;\n;wrong;\nx;wrong;\n99;wrong;\n3;corrected;\n3;right;no\n"
        "1;wrong;\n2.0;;two\n2;corrected;two\n"
    )
    count, complaints = take(store, path)
    assert count == Read(stored=2, known=1, bad=7)
    assert [line.partition(":")[0] for line in sorted(complaints, key=lambda one: int(one.split()[1][:-1]))] == [
        f"line {number}" for number in (3, 4, 5, 6, 7, 8, 9)
    ]
    assert any("'perhaps' is none of right, wrong, corrected" in line for line in complaints)
    assert any("there is no answer 99" in line for line in complaints)
    assert [row[:3] for row in stored(told)] == [(1, "right", None), (2, "corrected", "two")]
    assert take(store, path)[0] == Read(known=3, bad=7)


def test_what_a_spreadsheet_saved_in_another_encoding_is_not_stored(told: World, store: Store, tmp_path: Path) -> None:
    path = tmp_path / "look.csv"
    path.write_bytes("answer;verdict;text;by\n1;;größer;\n2;wrong;;Zoë\n3;right;;\n".encode("cp1252"))
    count, complaints = take(store, path)
    assert count == Read(stored=1, bad=2)
    assert complaints[0] == "line 2: 'gr��er' is not UTF-8: save the file as UTF-8 and import it again"
    assert [row[:3] for row in stored(told)] == [(3, "right", None)]


def test_lines_that_are_no_json_are_told(told: World, store: Store, tmp_path: Path) -> None:
    path = tmp_path / "look.jsonl"
    path.write_text(
        '{"answer": 1, "verdict": "wrong"}\nnot json\n{"answer": 2, "text": ["x"]}\n'
        '{"answer": true, "verdict": "wrong"}\n'
    )
    count, complaints = take(store, path)
    assert (count.stored, count.bad) == (1, 3)
    assert {line.split(":")[0] for line in complaints} == {"line 2", "line 3", "line 4"}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("x.txt", "answer,verdict\n", "which format"),
        ("x.csv", "id,verdict\n1,right\n", "is no file of reviews"),
        ("x.csv", "answer,said\n1,right\n", "is no file of reviews"),
        ("x.csv", None, "no such file"),
    ],
)
def test_files_that_are_no_reviews(store: Store, tmp_path: Path, name: str, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=said):
        take(store, tmp_path / name)


def test_a_file_to_write_is_csv_or_json_lines(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="which format"):
        write(store.views.answers(), str(tmp_path / "look.xlsx"))


def test_copies_stand_there_once(told: World, store: Store, tmp_path: Path) -> None:
    with store._writing() as (connection, _):
        connection.exec_driver_sql("UPDATE answers SET cached_from = 1 WHERE id = 2")
    assert write(store.views.answers(), str(tmp_path / "look.csv")) == 2


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(min_size=1), suffix=st.sampled_from([".csv", ".jsonl"]))
def test_any_correction_comes_back_as_it_is(told: World, store: Store, tmp_path: Path, text: str, suffix: str) -> None:
    if not plain(text).strip():
        return
    store.review([Review(answer=1, verdict=Verdict.CORRECTED, text=plain(text))])
    before = stored(told)
    path = tmp_path / f"look{suffix}"
    write(store.views.answers(where=["job=1"]), str(path))
    assert take(store, path) == (Read(known=1), [])
    assert stored(told) == before
