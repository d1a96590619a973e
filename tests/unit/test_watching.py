from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.store.watched import FileState, Wait, WatchedFile
from pipeline.watching import folders, looking, readiness
from pipeline.watching.bringing import bring
from pipeline.watching.plan import After, Fate, Plan, Ready, check, check_others
from pipeline.watching.readiness import Gone, judge
from pipeline.watching.rules import Rules
from pipeline.watching.telling import Telling

ALL = (After.KEEP, After.MOVE, After.DELETE)


def file(path: Path, *, tries: int = 0) -> WatchedFile:
    facts = path.stat()
    return WatchedFile(
        locator=f"file://{path}",
        drop="a",
        size=facts.st_size,
        mtime_ns=facts.st_mtime_ns,
        state=FileState.WAITING,
        reason=None,
        tries=tries,
        due=0.0,
        since=0.0,
        batch_id=None,
        row_no=None,
        updated=0.0,
    )


# --- plans ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["move done", "move:done", " move  done "])
def test_a_fate_with_its_folder(text: str) -> None:
    assert Fate.parse(text, may=ALL) == Fate(After.MOVE, str(Path.cwd() / "done"))


def test_a_fate_s_folder_may_have_any_name() -> None:
    for text in ("move /done/12:30 am", "move:/done/12:30 am"):
        assert Fate.parse(text, may=ALL) == Fate(After.MOVE, "/done/12:30 am")


@pytest.mark.parametrize("text", ["", "move", "delete now", "burn", "keep done"])
def test_no_fate(text: str) -> None:
    with pytest.raises(ValueError, match="it is one of keep, 'move DIR', delete"):
        Fate.parse(text, may=ALL)


def test_a_plan_survives_its_spec() -> None:
    plan = Plan(folders=("/in",), exclude=("no",), ready=Ready.MARKER, on_success=Fate(After.MOVE, "/done"), poll=1.0)
    assert Plan.of(json.loads(json.dumps(plan.spec()))) == plan


def test_a_linked_folder_inside_of_another_is_found(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a" / "b")
    with pytest.raises(UsageError, match="lies inside of"):
        check((str(tmp_path / "a"), str(tmp_path / "link")))
    assert check((str(tmp_path / "a"), str(tmp_path / "not there yet"))) == (
        str(tmp_path / "a"),
        str(tmp_path / "not there yet"),
    )


def test_folders_of_other_watches() -> None:
    check_others(("/in/a",), {"other": ("/in/b", "/in/ab")})
    for theirs in ("/in/a", "/in", "/in/a/b"):
        with pytest.raises(UsageError, match="which the watch 'other' looks after now"):
            check_others(("/in/a",), {"other": (theirs,)})


def test_folders_of_other_watches_by_another_name(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to("a")
    with pytest.raises(UsageError, match="overlaps with"):
        check_others((str(tmp_path / "link"),), {"other": (str(tmp_path / "a"),)})


def test_a_drop_is_the_folder_or_the_one_right_below() -> None:
    rules = Rules(Plan(folders=("/in", "/scans")))
    drops = [rules.drop(path, rules.root(path) or "") for path in ("/in/a.jpg", "/in/x/a.jpg", "/scans/y/z/a.jpg")]
    assert drops == ["/in", "/in/x", "/scans/y"]


def test_folders_into_which_files_are_moved_are_known_by_any_name(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to("in")
    plan = Plan(folders=(str(tmp_path / "in"),), on_success=Fate(After.MOVE, str(tmp_path / "link" / "done")))
    assert "Pixmill itself puts files into done" in str(Rules(plan).why_not(str(tmp_path / "in" / "done" / "a.bmp")))
    assert Rules(plan).why_not(str(tmp_path / "in" / "a.bmp")) is None


# --- readiness -----------------------------------------------------------------------------------


def test_each_look_comes_later_than_the_one_before_up_to_a_minute(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"a")
    plan = Plan(folders=(str(tmp_path),))
    pauses = [readiness.unfit(file(path, tries=tries), plan, 100.0, "why").due - 100.0 for tries in range(8)]
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60]


def test_a_file_is_judged_as_it_is_now(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"a")
    known, plan = file(path, tries=3), Plan(folders=(str(tmp_path),))
    assert judge(known, str(path), plan, 5.0) is None
    path.write_bytes(b"longer")
    found = judge(known, str(path), plan, 5.0)
    assert isinstance(found, Wait)
    assert (found.size, found.due, found.tries, found.since, found.reason) == (6, 7.0, 0, 5.0, readiness.CHANGED)
    path.unlink()
    assert judge(known, str(path), plan, 5.0) == Gone()


# --- looking -------------------------------------------------------------------------------------


def test_folders_inside_of_others_are_looked_into_with_them() -> None:
    assert looking._topmost(["/in/a/b", "/in/ab", "/in/a", "/in/a/c/d"]) == ["/in/a", "/in/ab"]


# --- moving --------------------------------------------------------------------------------------


@pytest.mark.parametrize("links", [True, False])
def test_what_is_brought_never_overwrites(tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not links:

        def refuse(*_: object) -> None:
            raise OSError(errno.EXDEV, "Invalid cross-device link")

        monkeypatch.setattr(os, "link", refuse)
    place = tmp_path / "done.jpg"
    place.write_bytes(b"another")
    path = tmp_path / "a.jpg"
    path.write_bytes(b"this")
    os.utime(path, (1, 1))
    assert bring(str(path), str(place)) == str(tmp_path / "done-1.jpg")
    assert (place.read_bytes(), (tmp_path / "done-1.jpg").read_bytes()) == (b"another", b"this")
    assert (tmp_path / "done-1.jpg").stat().st_mtime == 1


def test_moving_a_file_to_where_it_is_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"this")
    (tmp_path / "link").symlink_to(tmp_path)
    assert bring(str(tmp_path / "a.jpg"), str(tmp_path / "link" / "a.jpg")) == str(tmp_path / "a.jpg")
    assert (tmp_path / "a.jpg").read_bytes() == b"this"


# --- folders and words ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "polled"), [("nfs4", True), ("fuse.sshfs", True), ("fuseblk", True), ("virtiofs", True), ("ext4", False)]
)
def test_folders_without_events_are_polled(kind: str, polled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders.mounts, "kind", lambda path: kind)
    assert (folders._without_events("/in") is not None) == polled


def test_what_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    facts = {"path": "/in/a.jpg", "answers": [{"question": "What?", "text": "a\ncat"}], "now": None}
    Telling(note=said.append)("answered", None, **facts)
    Telling(note=said.append)("taken", None, path="/in/a.jpg")
    Telling(note=said.append)("gone", "It is gone.", path="/in/a.jpg")
    assert said == ["/in/a.jpg: a cat", "It is gone."]
    Telling(as_json=True)("answered", None, **facts)
    line = json.loads(capsys.readouterr().out)
    assert (line["event"], line["answers"], "now" in line, "at" in line) == ("answered", facts["answers"], False, True)
