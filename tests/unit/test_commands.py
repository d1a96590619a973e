"""The commands that need no engine, run as `pixmill ...` on a small database."""

from __future__ import annotations

import io
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from pipeline import database
from pipeline.cli import main
from pipeline.display import size
from pipeline.models import manifest
from pipeline.models.staging import staged
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


@pytest.mark.usefixtures("world")
def test_batches_are_paused_resumed_and_cancelled(pixmill: Screen) -> None:
    assert pixmill("batch", "pause", "first", "first") == "first is paused with 1 item still to do.\n"
    assert pixmill("batch", "pause", "first") == "first is paused already.\n"
    assert pixmill("batch", "resume", "first") == "first goes on with 1 item to do.\n"
    assert pixmill("batch", "resume", "first") == "first is not paused: it goes on already.\n"
    assert pixmill("batch", "cancel", "first") == "first is cancelled with 1 item still to do.\n"
    assert pixmill.json("batch", "show", "first")["counts"]["cancelled"] == 1


@pytest.mark.usefixtures("world")
def test_a_batch_that_has_ended_is_left_alone_and_so_are_the_others(pixmill: Screen) -> None:
    for verb, past in (("pause", "paused"), ("resume", "resumed"), ("cancel", "cancelled")):
        pixmill("batch", verb, "first", "second", code=1)
        assert f", so it cannot be {past}" in pixmill.err and "'second' is completed since" in pixmill.err
        assert "pixmill batch rerun second" in pixmill.err
    pixmill("batch", "cancel", "first", "third", code=1)
    assert "There is no batch 'third'" in pixmill.err
    assert pixmill.json("batch", "show", "first")["state"] == "in_progress"


@pytest.mark.usefixtures("world")
def test_running_a_batch_again_asks_first(pixmill: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\ny\n"))
    assert pixmill("batch", "rerun", "first") == ""
    assert "Run 2 done, 1 failed of first again? [y/N]" in pixmill.err
    assert pixmill("batch", "rerun", "first", "--where", "error_code=image_missing") == "1 job is queued again.\n"
    assert "Run 1 failed of first again?" in pixmill.err and "run again" in pixmill.err
    assert pixmill("batch", "rerun", "first", "--where", "error_code=image_missing") == (
        "Nothing that has ended in first fits: nothing is run again.\n"
    )


@pytest.mark.usefixtures("world")
def test_running_again_what_an_older_build_answered(pixmill: Screen) -> None:
    assert pixmill("batch", "rerun", "first", "--where", "build!=current", "--where", "state=done", "--yes") == (
        "1 job is queued again.\n"
    )
    assert pixmill.json("failed", "show", "2")["state"] == "queued"
    assert pixmill.json("failed", "show", "2")["fresh"] is False


@pytest.mark.usefixtures("world")
def test_a_batch_that_had_ended_lives_again_for_what_is_run_again(pixmill: Screen) -> None:
    assert pixmill("batch", "rerun", "second", "--yes", "--fresh") == "1 job is queued again.\n"
    shown = pixmill.json("batch", "show", "second")
    assert (shown["state"], shown["finished"], shown["counts"]["queued"]) == ("in_progress", None, 1)
    assert pixmill.json("failed", "show", "1")["fresh"] is True
    pixmill("batch", "pause", "second")
    pixmill("batch", "rerun", "first", "--where", "state=failed", "--yes")
    assert pixmill("batch", "rerun", "second", "--yes").startswith("Nothing that has ended")
    pixmill("batch", "rerun", "nope", "--yes", code=1)
    pixmill("batch", "rerun", "first", "--where", "colour=red", code=2)


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
    assert pixmill("failed", "retry", "3", "5") == "1 queued again.\n"
    assert "run again" in pixmill.err
    assert "1 stay as they are: no batch lists them any more." in pixmill.err
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


def test_a_manifest_tells_of_its_own_build_only(home: Path, pixmill: Screen) -> None:
    folder = make("llava", home / "models" / "tiny")
    manifest.write(folder, {"knows": ["Shapes."]})
    pixmill("models", "alias", "tiny", str(folder))
    assert pixmill.json("models", "show", "tiny")["knows"] == ["Shapes."]
    make("llava", folder, seed=1)
    manifest.write(folder, {"knows": ["Letters."]})
    assert pixmill.json("models", "show", "tiny")["knows"] is None, "the alias stands for the first build still"


def test_removing_a_model(home: Path, pixmill: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make("llava", home / "models" / "tiny")
    pixmill("models", "alias", "tiny", str(folder))
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    pixmill("models", "rm", "tiny")
    assert f"Remove {folder}?" in pixmill.err and folder.exists()
    freed = size(sum(file.stat().st_size for file in folder.iterdir()))
    assert pixmill("models", "rm", "tiny", "--yes") == f"tiny is removed; that freed {freed}. Its answers stay.\n"
    assert not folder.exists() and pixmill.lines("models", "ls")
    assert "There is no model 'tiny'" in (pixmill("models", "rm", "tiny", "--yes", code=1) + pixmill.err)


def test_removing_what_a_stopped_pull_left(home: Path, pixmill: Screen) -> None:
    with pytest.raises(KeyboardInterrupt), staged(home / "models", "tiny", needs=1, resume=True) as folder:
        (folder / "half.bin").write_bytes(bytes(2000))
        raise KeyboardInterrupt
    assert "that freed 2.0 kB" in pixmill("models", "rm", "tiny", "--yes")
    assert not folder.exists()


def test_an_alias_is_a_name_that_a_model_may_have(home: Path, pixmill: Screen) -> None:
    folder = make("llava", Path("mine").absolute())
    for name in ("CPU", "a b", ""):
        pixmill("models", "alias", name, str(folder), code=2)
        assert f"{name!r} cannot be a model's name" in pixmill.err
    assert not pixmill("models", "ls", "--json")


def test_what_is_not_removed(home: Path, pixmill: Screen) -> None:
    folder, mine = make("llava", home / "models" / "tiny"), make("llava", Path("mine").absolute())
    pixmill("models", "rm", "demo", code=1)
    assert "demo comes with Pixmill, so Pixmill does not remove it" in pixmill.err
    pixmill("models", "rm", "mine", code=1)
    assert "mine is a directory, not the name of a model" in pixmill.err
    pixmill("models", "rm", "./mine", code=1)
    assert "./mine is a directory, not the name of a model" in pixmill.err
    with pytest.raises(KeyboardInterrupt), staged(home / "models", "tiny", needs=1):
        pixmill("models", "rm", "tiny", "--yes", code=1)
        assert "Another pixmill is making or removing" in pixmill.err
        raise KeyboardInterrupt
    pixmill("models", "alias", "tiny", str(folder))
    with sqlite3.connect(home / "pixmill.db") as connection:
        connection.execute(
            "insert into workers (owner, host, boot_id, pid_namespace, pid, pid_started, build_id, started,"
            " lease_until) select 'o', 'desk', 'b', 'n', 77, 1, id, 0, 1e12 from builds"
        )
    connection.close()
    pixmill("models", "rm", "tiny", "--yes", code=1)
    assert "'tiny' is at work in desk (process 77)" in pixmill.err
    assert folder.exists() and mine.exists()


def test_the_catalogue_is_listed_without_a_database(home: Path, pixmill: Screen) -> None:
    assert "OpenGVLab/InternVL2-1B" in pixmill("models", "ls", "--catalogue")
    known = {model["name"]: model for model in pixmill.lines("models", "ls", "--catalogue")}
    assert known["phi-3.5-vision"]["builds"]["int4"] == "OpenVINO/Phi-3.5-vision-instruct-int4-ov"
    assert not home.exists()


def test_a_model_s_widths_are_shown(home: Path, pixmill: Screen) -> None:
    assert "28 of 29  94%" in pixmill("models", "show", "demo")
