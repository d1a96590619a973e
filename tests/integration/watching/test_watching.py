"""pipeline.watching: how files come into folders, on the real file system, with the fake engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from pipeline.jobs import BatchState
from pipeline.store.watched import FileState
from pipeline.watching.plan import Ready
from pipeline.watching.reasons import WHY
from tests.house import House, draw, draw_many, saying
from tests.watched import Watch, answered, child, lines, once

POLLED: dict[str, Any] = {"poll": 0.1}


@pytest.fixture(params=["native", "polled"])
def how(request: pytest.FixtureRequest) -> dict[str, Any]:
    """By events alone (the next scan is far away), or by looking."""
    return {"rescan": 600.0} if request.param == "native" else POLLED


# --- coming in -----------------------------------------------------------------------------------


def test_a_day_in_a_folder(house: House, folder: Path, tmp_path: Path, how: dict[str, Any]) -> None:
    """There before, slowly written, renamed into place, copied with its time, linked, in trees, gone again."""
    before = draw(folder / "before.bmp", 1)
    outside = draw(tmp_path / "old.bmp", 2)
    os.utime(outside, (1, 1))
    with Watch(house, folder, **how) as watch:
        watch.until_told("watching")
        slow, pause = folder / "slow.bmp", threading.Event()
        content = draw(tmp_path / "slow.bmp", 3, (40, 40)).read_bytes()
        with slow.open("wb") as file:
            for place in range(0, len(content), 700):
                file.write(content[place : place + 700])
                file.flush()
                pause.wait(0.02)
        renamed = folder / "renamed.bmp"
        draw(folder / "renamed.bmp.part", 4).rename(renamed)
        copied = Path(shutil.copy2(outside, folder / "copied.bmp"))
        linked = folder / "linked.bmp"
        linked.hardlink_to(outside)
        deep = tmp_path / "tree"
        paths = []
        for depth in range(6):
            deep = deep / f"level{depth}"
            deep.mkdir(parents=True)
            paths.append(draw(deep / "a.bmp", 10 + depth))
        (tmp_path / "tree").rename(folder / "tree")
        moved_in = [folder / path.relative_to(tmp_path) for path in paths]
        made = folder / "made"
        for depth in range(6):
            made = made / f"level{depth}"
            made.mkdir(parents=True)
            moved_in.append(draw(made / "b.bmp", 20 + depth))
        gone = draw(folder / "gone.bmp", 30)
        gone.unlink()
        watch.until_answered(5 + len(moved_in))
    once(house, before, slow, renamed, copied, linked, *moved_in)


def test_a_file_written_in_two_parts_is_asked_about_when_it_is_whole(house: House, folder: Path) -> None:
    path = draw(folder / "a.bmp", 1)
    content = path.read_bytes()
    path.write_bytes(content[:40])
    with Watch(house, folder) as watch:
        watch.until_told("waiting")
        path.write_bytes(content)
        watch.until_answered(1)
    once(house, path)
    (answer,) = house.store.views.answers()
    assert answer.text == saying("What?", 1)


def test_patience_with_a_truncated_file_ends(house: House, folder: Path) -> None:
    path = draw(folder / "a.bmp", 1)
    path.write_bytes(path.read_bytes()[:40])
    with Watch(house, folder, patience=0.5) as watch:
        told = watch.until_told("failed")
        assert told["code"] == "image_truncated"
        why = json.loads(Path(f"{path}{WHY}").read_bytes())
        assert (why["code"], why["file"]) == ("image_truncated", str(path))
        draw(path, 2)
        watch.until_answered(1)
        assert not Path(f"{path}{WHY}").exists()
    once(house, path)


def test_a_file_that_is_replaced_after_its_answer_is_asked_about_again(house: House, folder: Path) -> None:
    path = draw(folder / "a.bmp", 1)
    with Watch(house, folder) as watch:
        watch.until_answered(1)
        draw(path, 2, (5, 5))
        watch.until_told("answered", 2)
    texts = {row.text for row in house.store.views.answers(history=True)}
    assert texts == {saying("What?", 1), saying("What?", 2, (5, 5))}


def test_a_file_that_is_replaced_while_it_is_asked_about_is_asked_about_again(house: House, folder: Path) -> None:
    house.script = {"step_s": 0.3, "tokens": (3, 3)}
    path = draw(folder / "a.bmp", 1)
    with Watch(house, folder) as watch:
        watch.until_told("taken")
        draw(path, 2, (5, 5))
        watch.until_told("answered")
        newest = next(house.store.views.answers())
        assert newest.text == saying("What?", 2, (5, 5))


def test_what_is_deleted_before_it_is_stable_is_not_asked_about(house: House, folder: Path) -> None:
    path = draw(folder / "a.bmp", 1)
    with Watch(house, folder, stable_for=0.5) as watch:
        watch.until(lambda: watch.file(path) is not None)
        path.unlink()
        watch.until_told("gone")
        draw(path, 1)
        watch.until_answered(1)
    once(house, path)


def test_the_same_bytes_twice_come_from_the_store(house: House, folder: Path) -> None:
    with Watch(house, folder) as watch:
        draw(folder / "a.bmp", 1)
        watch.until_answered(1)
        draw(folder / "b.bmp", 1)
        watch.until_answered(2)
    assert [row.cached_from is not None for row in house.store.views.answers()] == [True, False]


def test_links_and_litter(house: House, folder: Path, tmp_path: Path) -> None:
    outside = draw(tmp_path / "out.bmp", 1)
    inside = draw(folder / "a.bmp", 2)
    (folder / "out.bmp").symlink_to(outside)
    (folder / "in.bmp").symlink_to("a.bmp")
    (folder / "everything").symlink_to(tmp_path)
    for name in (".a.bmp", "a.bmp.part", "~a.bmp", "@eaDir/b.bmp", ".stversions/c.bmp", "no/d.bmp", "a.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        draw(folder / name, 3)
    with Watch(house, folder, oneshot=True, exclude=("no",)) as watch:
        watch.to_the_end()
    once(house, inside, folder / "in.bmp")


def test_a_marker_says_that_a_file_is_complete(house: House, folder: Path) -> None:
    first, second = draw(folder / "a.bmp", 1), draw(folder / "b.bmp", 2)
    with Watch(house, folder, ready=Ready.MARKER, rescan=600.0) as watch:
        assert "marker" in watch.until_told("waiting", 2)["reason"]
        (folder / "a.bmp.done").touch()
        (folder / "b.done").touch()
        watch.until_answered(2)
    once(house, first, second)


def test_a_name_says_that_a_file_is_complete(house: House, folder: Path) -> None:
    with Watch(house, folder, ready=Ready.RENAME, stable_for=600.0) as watch:
        watch.until_told("watching")
        part = draw(folder / "a.bmp.tmp", 1)
        part.rename(folder / "a.bmp")
        watch.until_answered(1)


def test_a_clock_that_jumps_delays_nothing(house: House, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only how long it lasts counts: the wall clock goes back an hour, then ahead a year, while files come."""
    with Watch(house, folder) as watch:
        for number, jump in enumerate((-3_600.0, 3e7)):
            monkeypatch.setattr("time.time", lambda now=1.8e9 + jump: now)
            draw(folder / f"{number}.bmp", number)
            watch.until_answered(number + 1)


def test_a_drop_whose_batch_a_person_cancelled_and_removed_goes_on_in_another(house: House, folder: Path) -> None:
    with Watch(house, folder) as watch:
        draw(folder / "a.bmp", 1)
        watch.until_answered(1)
        head = house.store.views.batch_head(watch.told("taken")[0]["batch"])
        house.store.set_batch_state(head.id, BatchState.CANCELLED)
        assert list(house.store.housekeeping.remove_batch(head.id, head.name))
        draw(folder / "b.bmp", 2)
        watch.until_answered(2)
        assert watch.told("taken")[-1]["batch"] != head.name


# --- folders -------------------------------------------------------------------------------------


def test_a_folder_that_vanishes_is_reported_waited_for_and_watched_again(
    house: House, folder: Path, how: dict[str, Any]
) -> None:
    with Watch(house, folder, **how) as watch:
        draw(folder / "a.bmp", 1)
        watch.until_answered(1)
        shutil.rmtree(folder)
        watch.until_told("folder_lost")
        folder.mkdir()
        draw(folder / "b.bmp", 2)
        watch.until_answered(2)
        draw(folder / "c.bmp", 3)
        watch.until_answered(3)
        assert len(watch.told("folder_lost")) == len(watch.told("folder_back")) == 1


def test_a_large_drop_does_not_keep_a_small_one_waiting(house: House, folder: Path) -> None:
    house.script = {"step_s": 0.05, "tokens": (2, 4)}
    large, small = folder / "large", folder / "small"
    draw_many(large, 600)
    with Watch(house, folder) as watch:
        watch.until_answered(5)
        small.mkdir()
        last = [draw(small / f"{number}.bmp", 1_000 + number) for number in range(3)]
        watch.until(lambda: all((file := watch.file(path)) and file.state is FileState.DONE for path in last))
        assert watch.states()[FileState.DONE] < 600


@pytest.mark.parametrize("count", [500, pytest.param(20_000, marks=pytest.mark.soak)])
def test_many_at_once_are_each_answered_once(house: House, folder: Path, count: int) -> None:
    paths = draw_many(folder / "drop", count // 2)
    with Watch(house, folder) as watch:
        watch.until_told("watching")
        for number in range(count // 2, count):
            paths.append(draw(folder / f"{number}.bmp", number))
        watch.until_answered(count)
    once(house, *paths)


@pytest.mark.parametrize("limit", [("instances", 0), ("watches", 0), ("watches", 8)], ids=str)
def test_folders_are_looked_at_where_the_system_lets_no_more_be_listened_to(
    house: House, folder: Path, url: str, limit: tuple[str, int]
) -> None:
    """Nothing at all, not even the watched one, and too few for those that come."""
    what, room = limit
    few = ("unshare", "-Ur", "sh", "-c", f'echo {room} > /proc/sys/user/max_inotify_{what}; exec "$@"', "sh")
    if subprocess.run([*few, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this system gives no user namespaces")
    (folder / "a/b/c/d").mkdir(parents=True)
    watcher = child(url, folder, prefix=few)
    said = lines(watcher)
    first = next(line for line in said if line["event"] == "watching")
    assert first["polled"] is (room == 0)
    (folder / "e/f/g/h").mkdir(parents=True)
    paths = [draw(folder / "a/b/c/d/a.bmp", 1), draw(folder / "e/f/g/h/b.bmp", 2)]
    if room:
        assert "max_user_watches" in next(line["text"] for line in said if line.get("polled"))
    while answered(house).total() < len(paths):
        next(said)
    watcher.terminate()
    watcher.communicate()
    once(house, *paths)
