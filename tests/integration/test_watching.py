"""pipeline.watching: real life in folders, on the real file system, with the fake engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import DatabaseFull
from pipeline.store import Store
from pipeline.store.watched import FileState, Watches
from pipeline.watching import afterwards
from pipeline.watching.afterwards import move
from pipeline.watching.plan import After, Fate, Ready
from tests.house import House, draw, draw_many, saying
from tests.pictures import WITHOUT_RIGHTS
from tests.watched import Watch, answered

POLLED: dict[str, Any] = {"poll": 0.1}


@pytest.fixture
def house(sqlite_store: Store) -> House:
    return House(sqlite_store, max_num_seqs=16)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in"
    made.mkdir()
    return made


@pytest.fixture(params=["native", "polled"])
def how(request: pytest.FixtureRequest) -> dict[str, Any]:
    """By events alone (the next scan is far away), or by looking."""
    return {"rescan": 600.0} if request.param == "native" else POLLED


def once(house: House, *paths: Path) -> None:
    """Each of these was answered exactly once, and nothing else was."""
    assert answered(house) == Counter(str(path) for path in paths)


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
        why = json.loads(Path(f"{path}{afterwards.WHY}").read_bytes())
        assert (why["code"], why["file"]) == ("image_truncated", str(path))
        draw(path, 2)
        watch.until_answered(1)
        assert not Path(f"{path}{afterwards.WHY}").exists()
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
    house.script = {"step_s": 0.02, "tokens": (2, 4)}
    large, small = folder / "large", folder / "small"
    draw_many(large, 600)
    with Watch(house, folder) as watch:
        watch.until_answered(5)
        small.mkdir()
        last = [draw(small / f"{number}.bmp", 1_000 + number) for number in range(3)]
        watch.until(lambda: all((file := watch.file(path)) and file.state is FileState.DONE for path in last))
        assert watch.states()[FileState.DONE] < 500


@pytest.mark.parametrize("count", [500, pytest.param(20_000, marks=pytest.mark.soak)])
def test_many_at_once_are_each_answered_once(house: House, folder: Path, count: int) -> None:
    paths = draw_many(folder / "drop", count // 2)
    with Watch(house, folder) as watch:
        watch.until_told("watching")
        for number in range(count // 2, count):
            paths.append(draw(folder / f"{number}.bmp", number))
        watch.until_answered(count)
    once(house, *paths)


# --- afterwards ----------------------------------------------------------------------------------


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
    assert (bad / "broken.bmp").exists() and (bad / f"broken.bmp{afterwards.WHY}").exists()
    assert (folder / "sub" / "a.txt").read_text() == saying("What?", 2) + "\n"
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


def test_moving_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    path, place = draw(tmp_path / "a.bmp", 1), tmp_path / "b.bmp"
    place.hardlink_to(path)
    assert move(str(path), str(place)) == str(place)
    assert (path.exists(), place.exists()) == (False, True)


# --- restarts ------------------------------------------------------------------------------------


def child(url: str, folder: Path, prefix: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    command = [*prefix, sys.executable, "-m", "tests.watcher_child", url, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def url(house: House) -> str:
    return str(house.store._engine.url)


def lines(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout
    return map(json.loads, process.stdout)


def test_killed_and_started_again_it_neither_repeats_nor_forgets(house: House, folder: Path, url: str) -> None:
    paths = draw_many(folder, 80)
    first = child(url, folder)
    answers = 0
    for line in lines(first):
        answers += line["event"] == "answered"
        if answers == 20:
            first.kill()
            break
    first.communicate()
    paths += draw_many(folder / "meanwhile", 20)
    with Watch(house, folder, oneshot=True) as watch:
        watch.to_the_end()
        assert watch.states() == {FileState.DONE: 100}
    once(house, *paths)


def test_of_two_watchers_of_one_folder_one_stands_by(house: House, folder: Path, url: str) -> None:
    first, second = child(url, folder), child(url, folder)
    one, two = lines(first), lines(second)
    events = {}
    for process, said in ((first, one), (second, two)):
        events[process.pid] = next(line["event"] for line in said if line["event"] in ("watching", "standing_by"))
    assert sorted(events.values()) == ["standing_by", "watching"]
    at_work, waits = (first, second) if events[first.pid] == "watching" else (second, first)
    paths = draw_many(folder, 20)
    said = one if at_work is first else two
    for _ in range(20):
        next(line for line in said if line["event"] == "answered")
    at_work.kill()
    at_work.communicate()
    paths.append(draw(folder / "later.bmp", 99))
    next(line for line in (two if waits is second else one) if line["event"] == "answered")
    waits.terminate()
    waits.communicate()
    assert waits.returncode == 0
    once(house, *paths)


# --- rights and disks ----------------------------------------------------------------------------


def test_a_file_that_may_not_be_read_waits_until_it_may(house: House, folder: Path, url: str) -> None:
    path, other = draw(folder / "a.bmp", 1), draw(folder / "b.bmp", 2)
    path.chmod(0)
    watcher = child(url, folder, prefix=WITHOUT_RIGHTS)
    said = lines(watcher)
    assert "cannot be opened: permission denied" in next(line["reason"] for line in said if line["event"] == "waiting")
    path.chmod(0o644)
    while answered(house)[str(path)] == 0:
        assert next(said)["event"] in ("taken", "answered", "waiting")
    watcher.terminate()
    watcher.communicate()
    once(house, path, other)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "pixmill", place], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("only root can make a small disk")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_is_waited_for(house: House, small_disk: Path) -> None:
    """The answers are stored elsewhere; what is written beside the pictures comes when there is room."""
    path, ballast = draw(small_disk / "a.bmp", 1), small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(4096))
    with Watch(house, small_disk, sidecar="txt") as watch:
        assert "no space left" in watch.until_told("held_up")["reason"]
        ballast.unlink()
        watch.until_answered(1)
    assert (small_disk / "a.txt").read_text() == saying("What?", 1) + "\n"
    once(house, path)


def test_a_database_that_is_full_for_a_while_is_waited_for(
    house: House, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, full = draw(folder / "a.bmp", 1), threading.Event()
    full.set()
    real = Watches.take

    def take(*args: Any) -> None:
        if full.is_set():
            raise DatabaseFull(url="here")
        real(*args)

    monkeypatch.setattr(Watches, "take", take)
    with Watch(house, folder) as watch:
        watch.until_told("database_away")
        full.clear()
        watch.until_answered(1)
        assert len(watch.told("database_away")) == len(watch.told("database_back")) == 1
    once(house, path)
