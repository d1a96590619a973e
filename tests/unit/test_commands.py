"""The commands that need no engine, run as `pixmill ...` on a small database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline import database
from pipeline.cli import main
from tests import seeding
from tests.models import make


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PIXMILL_DATABASE_URL", raising=False)
    monkeypatch.setenv("PIXMILL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def world(home: Path) -> Path:
    url = f"sqlite:///{home / 'pixmill.db'}"
    database.prepare(url)
    engine = database.connect(url)
    with engine.begin() as connection:
        seeding.world(connection)
    engine.dispose()
    return home


class Screen:
    """Runs a command and keeps what it printed."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *words: str, code: int = 0) -> str:
        self._capture.readouterr()
        assert main(words) == code
        self.out, self.err = self._capture.readouterr()
        return self.out

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json"))

    def lines(self, *words: str) -> list[Any]:
        return [json.loads(line) for line in self(*words, "--json").splitlines()]


@pytest.fixture
def pixmill(capsys: pytest.CaptureFixture[str]) -> Screen:
    return Screen(capsys)


# --- no database yet -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["answers"],
        ["batch", "ls"],
        ["failed", "ls"],
        ["failed", "retry", "--code", "image_missing"],
        ["export", "-o", "-"],
    ],
)
def test_looking_at_nothing_makes_nothing(home: Path, pixmill: Screen, words: list[str]) -> None:
    pixmill(*words)
    assert "Nothing here yet" in pixmill.err
    assert not home.exists()


def test_looking_at_nothing_has_empty_json(home: Path, pixmill: Screen) -> None:
    assert pixmill.lines("answers") == []
    assert pixmill.json("status")["answers"] == 0
    pixmill("batch", "show", "x", code=1)
    assert "There is no batch 'x'" in pixmill.err


def test_the_schema_before_and_after(home: Path, pixmill: Screen) -> None:
    before = pixmill.json("db", "current")
    assert (before["schema"], home.exists()) == (None, False)
    assert before["needed"] in pixmill("db", "upgrade")
    assert pixmill.json("db", "current")["schema"] == before["needed"]
    assert "schema" in pixmill("db", "current")


# --- status, answers, batches --------------------------------------------------------------------


@pytest.mark.usefixtures("world")
def test_status(pixmill: Screen) -> None:
    assert pixmill.json("status")["jobs"]["failed"] == 2
    out = pixmill("status")
    assert "Jobs     1 queued, 2 done, 2 failed" in out
    assert "Answers  4, 1 from the cache" in out


@pytest.mark.usefixtures("world")
def test_answers(pixmill: Screen) -> None:
    out = pixmill("answers")
    assert out.splitlines()[0] == "/pictures/dog.jpg: What is it?"
    assert "  a grey cat" in out.splitlines()
    assert "llava int4 aaaaaaaa · CPU · 3 tokens · 0.5 s" in out
    assert "review: corrected" in out
    assert [row["text"] for row in pixmill.lines("answers", "cat")] == ["a grey cat"]
    assert [row["id"] for row in pixmill.lines("answers", "--history", "--after", "4")] == [3, 2, 1]
    assert [row["id"] for row in pixmill.lines("answers", "--history", "--where", "precision=int8")] == [2]


@pytest.mark.usefixtures("world")
def test_a_listing_says_when_there_is_more(pixmill: Screen) -> None:
    assert len(pixmill.lines("answers", "--limit", "1")) == 1
    assert "There are more than 1" in pixmill.err
    assert len(pixmill.lines("answers", "--limit", "2")) == 2
    assert pixmill.err == ""
    assert len(pixmill.lines("answers", "--history", "--limit", "0")) == 4


@pytest.mark.usefixtures("world")
def test_an_unknown_field_lists_the_known_ones(pixmill: Screen) -> None:
    pixmill("answers", "--where", "colour=red", code=2)
    assert "answer_tokens" in pixmill.err


@pytest.mark.usefixtures("world")
def test_batches(pixmill: Screen) -> None:
    assert [line.split()[0] for line in pixmill("batch", "ls").splitlines()] == ["NAME", "second", "first"]
    assert [row["name"] for row in pixmill.lines("batch", "ls", "--limit", "1")] == ["second"]
    assert pixmill.json("batch", "show", "first")["counts"]["failed"] == 2
    out = pixmill("batch", "show", "first")
    assert "Items     6: 1 queued, 3 done, 2 failed" in out
    assert "Failures  1 image_missing, 1 row_invalid" in out


# --- failures ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("world")
def test_failures(pixmill: Screen) -> None:
    assert [row["job"] for row in pixmill.lines("failed", "ls")] == [5, 3]
    assert "image_missing" in pixmill("failed", "ls", "--batch", "first")
    assert "row 2  row_invalid" in pixmill.out
    assert "/pictures/gone.jpg" in pixmill("failed", "show", "3")
    assert pixmill.json("failed", "show", "3")["error_code"] == "image_missing"
    out = pixmill("failed", "show", "1")
    assert "Answer    a grey cat" in out
    assert "Earlier   a lion" in out


@pytest.mark.usefixtures("world")
def test_retry_by_number(pixmill: Screen) -> None:
    assert pixmill("failed", "retry", "3", "5") == "2 queued again.\n"
    assert "run again" in pixmill.err
    assert pixmill.json("failed", "show", "3")["state"] == "queued"
    pixmill("failed", "retry", "3", code=2)
    assert "Job 3 is queued" in pixmill.err


@pytest.mark.usefixtures("world")
def test_retry_by_batch_and_code(pixmill: Screen) -> None:
    assert pixmill("failed", "retry", "--batch", "first", "--code", "image_unreadable") == "0 queued again.\n"
    assert pixmill("failed", "retry", "--batch", "first") == "1 queued again.\n"
    assert [row["job"] for row in pixmill.lines("failed", "ls")] == [5]


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("words", [[], ["3", "--batch", "first"], ["1"]])
def test_retry_wants_to_know_which(pixmill: Screen, words: list[str]) -> None:
    pixmill("failed", "retry", *words, code=2)
    assert [row["job"] for row in pixmill.lines("failed", "ls")] == [5, 3]


# --- export --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("world")
def test_export(pixmill: Screen, tmp_path: Path) -> None:
    assert pixmill("export", "-o", "out.jsonl", "--batch", "first") == ""
    assert pixmill.err == "6 lines in out.jsonl.\n"
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert rows[0]["custom_id"] == "dog"
    assert len(pixmill("export", "-o", "-", "--where", "state=done").splitlines()) == 2


@pytest.mark.usefixtures("world")
def test_an_export_that_cannot_begin_leaves_the_file(pixmill: Screen, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("old")
    pixmill("export", "-o", "out", "--batch", "nope", code=1)
    assert (tmp_path / "out").read_text() == "old"
    pixmill("export", "-o", str(tmp_path), code=2)
    assert "is a folder" in pixmill.err


def test_a_model_that_no_job_named_yet_is_shown_from_its_files(home: Path, pixmill: Screen) -> None:
    folder = make("llava", home / "models" / "tiny")
    shares = {"questions": 0.981, "caption": 0.94, "count": 0.9}
    told = {"knows": ["Shapes.", "Nothing else."], "accuracy": {"fp32": {"scenes": shares}, "int8": {"scenes": shares}}}
    (folder / "pixmill.json").write_text(json.dumps(told))
    shown = pixmill("models", "show", "tiny")
    assert "Knows     Shapes.\n          Nothing else.\n" in shown
    assert "Right     fp32, scenes: 98.1% of questions, 94.0% of captions\n" in shown and "int8" not in shown
    found = pixmill.json("models", "show", "tiny")
    assert (found["alias"], found["answers"], found["updated"]) == ("tiny", 0, None)
    assert (found["build"]["path"], found["knows"], found["accuracy"]) == (str(folder), told["knows"], told["accuracy"])
    assert not (home / "pixmill.db").exists()
    assert "There is no model 'tinny'" in (pixmill("models", "show", "tinny", code=1) + pixmill.err)
