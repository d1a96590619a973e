"""pipeline.watching: shares that go, files that may not be read, disks and databases that are full."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import DatabaseFull
from pipeline.store.watched import WatchedFiles
from pipeline.watching.plan import After, Fate
from pipeline.watching.reasons import WHY
from tests.house import House, draw, saying
from tests.pictures import WITHOUT_RIGHTS
from tests.watched import Watch, answered, child, lines, once


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


def test_a_folder_that_may_only_be_read_can_be_watched(house: House, folder: Path, url: str) -> None:
    """What has no answer fails there as anywhere; only the file that says why is left out."""
    broken, path = folder / "broken.bmp", draw(folder / "a.bmp", 1)
    broken.write_bytes(b"no picture")
    folder.chmod(0o555)
    watcher = child(url, folder, prefix=WITHOUT_RIGHTS)
    ends = list(islice(ending(watcher), 2))
    watcher.terminate()
    watcher.communicate()
    failed = next(line for line in ends if line["event"] == "failed")
    assert "may not be written" in failed["now"]
    assert [one.name for one in folder.iterdir() if one != path] == ["broken.bmp"]
    once(house, path)


def ending(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    return (line for line in lines(process) if line["event"] in ("answered", "failed", "held_up"))


def test_a_share_that_is_away_for_a_while_breaks_no_picture(house: House, folder: Path) -> None:
    """Neither there nor gone, as a stale network folder: here a link that leads to itself."""
    path, away = draw(folder / "a.bmp", 1), folder.parent / "away"

    def go_away(event: str, facts: dict[str, Any]) -> None:
        if event == "taken" and not away.exists():
            folder.rename(away)
            folder.symlink_to(folder)

    with Watch(house, folder, heard=go_away, patience=0.0, sidecar="txt") as watch:
        assert "it cannot be looked at: too many levels" in watch.until_told("waiting")["reason"]
        folder.unlink()
        away.rename(folder)
        watch.until_answered(1)
        assert not watch.told("failed")
    assert path.with_suffix(".txt").exists()
    once(house, path)


def test_what_went_before_its_sidecar_was_written_gets_one_when_it_is_back(house: House, folder: Path) -> None:
    path, away = draw(folder / "a.bmp", 1), folder.parent / "a.bmp"
    with Watch(house, folder, name="first") as watch:
        watch.until_answered(1)  # so it need not be read any more

    def go_away(event: str, facts: dict[str, Any]) -> None:
        if event == "taken" and not watch.told("gone"):
            path.rename(away)

    with Watch(house, folder, name="second", heard=go_away, sidecar="txt") as watch:
        assert "went before the answers could be written" in watch.until_told("gone")["reason"]
        away.rename(path)
        watch.until_answered(1)
    assert path.with_suffix(".txt").read_text() == saying("What?", 1) + "\n"
    once(house, path)


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
    path = draw(small_disk / "a.bmp", 1)
    ballast = fill(small_disk)
    with Watch(house, small_disk, sidecar="txt") as watch:
        assert "no space left" in watch.until_told("held_up")["reason"]
        ballast.unlink()
        watch.until_answered(1)
    assert (small_disk / "a.txt").read_text() == saying("What?", 1) + "\n"
    once(house, path)


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(4096))
    return ballast


def test_a_full_disk_costs_no_failed_picture_its_reason(house: House, small_disk: Path) -> None:
    folder, bad = small_disk / "in", small_disk / "bad"
    folder.mkdir()
    (folder / "a.bmp").write_bytes(b"no picture")
    ballast = fill(small_disk)
    with Watch(house, folder, on_failure=Fate(After.MOVE, str(bad))) as watch:
        watch.until_told("held_up")
        assert (folder / "a.bmp").exists()
        ballast.unlink()
        watch.until_told("failed")
    assert {path.name for path in bad.iterdir()} == {"a.bmp", f"a.bmp{WHY}"}
    assert not (folder / "a.bmp").exists()


def test_a_database_that_is_full_for_a_while_is_waited_for(
    house: House, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, full = draw(folder / "a.bmp", 1), threading.Event()
    full.set()
    real = WatchedFiles.take

    def take(*args: Any) -> None:
        if full.is_set():
            raise DatabaseFull(url="here")
        real(*args)

    monkeypatch.setattr(WatchedFiles, "take", take)
    with Watch(house, folder) as watch:
        watch.until_told("database_away")
        full.clear()
        watch.until_answered(1)
        assert len(watch.told("database_away")) == len(watch.told("database_back")) == 1
    once(house, path)
