"""pipeline.watching: what becomes of files that have their answers, or will have none."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from pipeline.rerun import run_again
from pipeline.store.watched import FileState
from pipeline.watching import afterwards, taking
from pipeline.watching.bringing import bring
from pipeline.watching.explaining import explain
from pipeline.watching.plan import After, Fate
from pipeline.watching.reasons import WHY
from tests.house import House, draw, draw_many, saying
from tests.watched import Watch, answered, once


@pytest.mark.parametrize("inside", [False, True])
def test_answered_files_are_moved_and_never_overwrite_others(
    house: House, folder: Path, tmp_path: Path, inside: bool
) -> None:

    done, bad = (folder if inside else tmp_path) / "done", (folder if inside else tmp_path) / "bad"
    (folder / "sub").mkdir()
    draw(folder / "sub" / "a.bmp", 1)
    (folder / "broken.bmp").write_bytes(b"no picture")
    fates = {"on_success": Fate(After.MOVE, str(done)), "on_failure": Fate(After.MOVE, str(bad))}
    with Watch(house, folder, sidecar="txt", **fates) as watch:
        watch.until_told("failed")
        watch.until_told("answered")
        draw(folder / "sub" / "a.bmp", 2)
        watch.until_told("answered", 2)
    assert (done / "sub" / "a.bmp").read_bytes() == draw(tmp_path / "1.bmp", 1).read_bytes()
    assert (done / "sub" / "a-1.bmp").read_bytes() == draw(tmp_path / "2.bmp", 2).read_bytes()
    assert (bad / "broken.bmp").exists() and (bad / f"broken.bmp{WHY}").exists()
    assert (done / "sub" / "a.txt").read_text() == saying("What?", 1) + "\n"
    assert (done / "sub" / "a-1.txt").read_text() == saying("What?", 2) + "\n"
    assert not (folder / "sub" / "a.bmp").exists()


def test_a_file_is_deleted_only_if_it_is_what_was_answered(
    house: House, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    path = draw(folder / "a.bmp", 1)
    facts = path.stat()
    real, looked = afterwards._check_bytes, threading.Event()

    def replaced_first(path_: str, items: Any) -> None:
        if not looked.is_set():  # other bytes of the same length, under the same time
            looked.set()
            draw(path, 2)
            os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        real(path_, items)

    monkeypatch.setattr(afterwards, "_check_bytes", replaced_first)
    with Watch(house, folder, on_success=Fate(After.DELETE)) as watch:
        watch.until_told("replaced")
        watch.until_told("answered")
        assert not path.exists()
    texts = [row.text for row in house.store.views.answers(history=True)]
    assert texts == [saying("What?", 2), saying("What?", 1)]


def test_a_file_that_takes_the_name_of_one_that_is_deleted_stays_and_is_answered(
    house: House, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = draw(folder / "a.bmp", 1), draw(tmp_path / "other.bmp", 2)
    real = afterwards._check_bytes

    def replaced_then(path_: str, items: Any) -> None:
        real(path_, items)
        if other.exists():
            other.rename(path)

    monkeypatch.setattr(afterwards, "_check_bytes", replaced_then)
    with Watch(house, folder, on_success=Fate(After.DELETE)) as watch:
        watch.until_told("answered", 2)
    assert not path.exists()
    assert {row.text for row in house.store.views.answers(history=True)} == {saying("What?", 1), saying("What?", 2)}


def test_moving_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    path, place = draw(tmp_path / "a.bmp", 1), tmp_path / "b.bmp"
    place.hardlink_to(path)
    assert bring(str(path), str(place)) == str(place)


def test_what_failed_and_is_put_back_is_asked_about_again(house: House, folder: Path, tmp_path: Path) -> None:
    """Its size and time are what they were."""
    broken = folder / "broken.bmp"
    broken.write_bytes(b"no picture")
    with Watch(house, folder, on_failure=Fate(After.MOVE, str(tmp_path / "bad"))) as watch:
        watch.until_told("failed")
        (tmp_path / "bad" / "broken.bmp").rename(broken)
        watch.until_told("failed", 2)
    assert not broken.exists()


def same_again(path: Path, number: int) -> None:
    """Another picture of the same size under the same time: as far as a watcher sees, nothing has changed."""
    facts = path.stat()
    draw(path, number)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


@pytest.mark.parametrize("watched", [True, False])
def test_what_failed_and_is_retried_by_a_person_is_seen_to(house: House, folder: Path, watched: bool) -> None:
    """`failed retry` asks again, while it is watched and while it is not."""
    path = draw(folder / "a.bmp", 1)
    path.write_bytes(b"x" * path.stat().st_size)
    with Watch(house, folder, sidecar="txt") as watch:
        watch.until_told("failed")
        if watched:
            same_again(path, 1)
            retry(house)
            watch.until_answered(1)
    if not watched:
        same_again(path, 1)
        retry(house)
        (found,) = explain(house.store, str(path), None)
        assert (found.state, "was asked about again since" in found.reason) == ("taken", True)
        with Watch(house, folder, oneshot=True, sidecar="txt") as watch:
            watch.to_the_end()
            assert watch.states() == {FileState.DONE: 1}
    assert path.with_suffix(".txt").read_text() == saying("What?", 1) + "\n"
    assert not Path(f"{path}{WHY}").exists()
    once(house, path)


def retry(house: House) -> None:
    assert run_again(house.store, [row.job for row in house.store.views.failed() if row.job is not None]) == 1


def test_links_and_long_names_are_moved_as_others_are(house: House, folder: Path, tmp_path: Path) -> None:
    long, done = "l" * 251, tmp_path / "done"
    draw(folder / "a.bmp", 1)
    (folder / "kept").mkdir()
    draw(folder / "kept" / "b.bmp", 2)
    (folder / "b.bmp").symlink_to("kept/b.bmp")
    (folder / "c.bmp").symlink_to("a.bmp")  # which may have gone before it is moved
    draw(folder / f"{long}.bmp", 3)
    (folder / f"{'m' * 251}.bmp").write_bytes(b"no picture")
    done.mkdir()
    draw(done / f"{long}.bmp", 4)
    with Watch(house, folder, oneshot=True, exclude=("kept",), on_success=Fate(After.MOVE, str(done))) as watch:
        watch.to_the_end()
        assert watch.states() == {FileState.DONE: 4, FileState.FAILED: 1}
    moved = {path.name for path in done.iterdir()} - {"c.bmp"}
    assert moved == {"a.bmp", "b.bmp", f"{long}.bmp", f"{long[:249]}-1.bmp"}
    assert not (done / "b.bmp").is_symlink() and (folder / "kept" / "b.bmp").exists()
    assert json.loads((folder / f"{'m' * 244}{WHY}").read_bytes())["code"] == "image_unsupported"


def test_pictures_that_differ_in_their_ending_alone_have_sidecars_of_their_own(house: House, folder: Path) -> None:
    draw(folder / "a.bmp", 1)
    draw(folder / "a.png", 2)
    draw(folder / "b.bmp", 3)
    with Watch(house, folder, oneshot=True, sidecar="txt") as watch:
        watch.to_the_end()
    texts = {path.name: path.read_text() for path in folder.glob("*.txt")}
    assert texts == {f"{name}.txt": saying("What?", of) + "\n" for name, of in {"a.bmp": 1, "a.png": 2, "b": 3}.items()}


def test_what_cannot_be_done_afterwards_keeps_nothing_else_waiting(
    house: House, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "MOST_TAKEN", 4)
    (folder.parent / "done").write_text("a file, where a folder is to be")
    draw_many(folder / "sub", 6)
    with Watch(house, folder, on_success=Fate(After.MOVE, str(folder.parent / "done"))) as watch:
        watch.until_told("held_up", 6)
        draw(folder / "later.bmp", 9)
        watch.until_told("held_up", 7)
        (folder.parent / "done").unlink()
        watch.until_answered(7)
    assert answered(house).total() == 7


def test_what_cannot_be_done_afterwards_does_not_keep_a_single_round_going(house: House, folder: Path) -> None:
    path, blocked = draw(folder / "a.bmp", 1), folder.parent / "done"
    blocked.write_text("a file, where a folder is to be")
    with Watch(house, folder, oneshot=True, on_success=Fate(After.MOVE, str(blocked / "sub"))) as watch:
        watch.to_the_end()
        assert not watch.watcher.complete
        assert watch.told("held_up")[0]["reason"] == f"not a directory: {blocked / 'sub'}"
    (found,) = explain(house.store, str(path), None)
    assert "Its questions have ended; what is to be done then is tried again: not a directory" in found.reason
    blocked.unlink()
    with Watch(house, folder, oneshot=True, on_success=Fate(After.MOVE, str(blocked / "sub"))) as watch:
        watch.to_the_end()
        assert watch.watcher.complete
    assert (blocked / "sub" / "a.bmp").exists()
    once(house, path)
