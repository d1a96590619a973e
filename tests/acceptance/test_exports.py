"""`pixmill export` with the installed program: killed, without rights, without room. The answers are seeded."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline import database
from pipeline.export import EXPORTERS
from tests import seeding
from tests.pictures import WITHOUT_RIGHTS
from tests.program import PROGRAM, Program

MANY = 6_000
ANSWERED = MANY - MANY // 100
TEXT = "A red square stands on a blue table."
TABLES = ["jsonl", "csv", "parquet", "coco"]


@pytest.fixture
def seeded(tmp_path: Path) -> Program:
    """The program with a database of so many items, each hundredth of them failed."""
    folder, home = tmp_path / "here", tmp_path / "home"
    folder.mkdir()
    url = f"sqlite:///{home / 'pixmill.db'}"
    database.prepare(url)
    engine = database.connect(url)
    with engine.begin() as connection:
        seeding.crowd(connection, MANY, 0)
        connection.exec_driver_sql("UPDATE batch_items SET custom_id = row_no")
    engine.dispose()
    return Program(home, folder)


def command(format: str, target: str | Path) -> tuple[str, ...]:
    root = ("--image-root", "/pictures") if "image_root" in EXPORTERS[format].options else ()
    return ("export", "--format", format, "--batch", "first", "-o", str(target), *root)


def wait_until(process: subprocess.Popen[str], there: Callable[[], bool]) -> None:
    """Wait for a condition, as long as the process is at work."""
    while not there():
        assert process.poll() is None, "it ended before"
        time.sleep(0.002)


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("format", TABLES)
def test_killed_in_the_middle_the_old_file_stands(seeded: Program, format: str) -> None:
    out = seeded.folder / "out"
    out.write_text("old")
    process = seeded.start(*command(format, out))
    # Tables wait elsewhere until all their columns are known.
    least = 0 if format in ("csv", "parquet") else 50_000
    wait_until(process, lambda: any(part.stat().st_size >= least for part in seeded.folder.glob(".out.*.part")))
    kill(process)
    assert out.read_text() == "old"
    seeded(*command(format, out))
    assert os.listdir(seeded.folder) == ["out"]
    assert out.stat().st_size > MANY


def test_killed_in_the_middle_each_sidecar_is_whole_and_the_same_command_goes_on(seeded: Program) -> None:
    out = seeded.folder / "out"
    kept: set[int] = set()
    for share in (0.05, 0.4):
        process = seeded.start(*command("txt", out))
        wait_until(process, lambda share=share: out.is_dir() and len(os.listdir(out)) > share * MANY)  # type: ignore[misc]
        kill(process)
        files = list(out.glob("*.txt"))
        assert {file.read_text() for file in files} == {f"{TEXT}\n"}
        assert kept <= {file.stat().st_ino for file in files}
        kept = {file.stat().st_ino for file in files}
    ended = seeded(*command("txt", out))
    assert f"left out: {len(kept):,} items whose file is there already" in ended.err
    assert f"left out: {MANY // 100} items without an answer" in ended.err
    assert sorted(os.listdir(out)) == sorted(f"{n}.txt" for n in range(1, MANY + 1) if n % 100)


@pytest.mark.parametrize("format", [*TABLES, "txt"])
def test_ctrl_c_leaves_no_half_file(seeded: Program, format: str) -> None:
    out = seeded.folder / "out"
    if format != "txt":
        out.write_text("old")
    process = seeded.start(*command(format, out))
    if format == "txt":
        wait_until(process, lambda: out.is_dir() and len(os.listdir(out)) > 10)
    else:
        wait_until(process, lambda: bool(list(seeded.folder.glob(".out.*.part"))))
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in told
    if format == "txt":
        assert {(file.suffix, file.read_text()) for file in out.iterdir()} == {(".txt", f"{TEXT}\n")}
    else:
        assert (os.listdir(seeded.folder), out.read_text()) == (["out"], "old")


def on_a_terminal(program: Program, *args: str) -> tuple[bytes, str]:
    """What a call writes to a file or a pipe, and what it shows at the terminal behind its stderr."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PIXMILL_HOME": str(program.home), "TERM": "xterm", "COLUMNS": "100"}
    shown: list[bytes] = []

    def look() -> None:
        try:
            while held := os.read(ours, 4096):
                shown.append(held)
        except OSError:  # nobody has the other end any more
            return

    process = subprocess.Popen(
        [PROGRAM, *args], cwd=program.folder, env=environment, stdout=subprocess.PIPE, stderr=theirs
    )
    os.close(theirs)
    reader = threading.Thread(target=look)
    reader.start()
    written, _ = process.communicate()
    reader.join()
    os.close(ours)
    assert process.returncode == 0
    return written, b"".join(shown).decode()


def test_a_terminal_shows_how_far_it_is(seeded: Program) -> None:
    _, shown = on_a_terminal(seeded, *command("csv", "out.csv"))
    assert "reading" in shown and f"{MANY:,} of {MANY:,}" in shown
    assert shown.index("reading") < shown.index("writing") < shown.index("6,000 rows in out.csv.")
    _, shown = on_a_terminal(seeded, *command("csv", "out.csv"), "--quiet")
    assert shown == "6,000 rows in out.csv.\r\n"
    assert seeded(*command("csv", "out.csv")).err == "6,000 rows in out.csv.\n"


def test_the_bar_takes_nothing_of_what_goes_through_a_pipe(seeded: Program) -> None:
    written, shown = on_a_terminal(seeded, *command("jsonl", "-"))
    assert (written.count(b"\n"), "{" in shown) == (MANY, False)
    assert f"{MANY:,} of {MANY:,}" in shown


@pytest.mark.parametrize("format", [*TABLES, "txt", "imagefolder"])
def test_a_folder_without_permission(seeded: Program, format: str) -> None:
    locked = seeded.folder / "locked"
    locked.mkdir()
    (locked / "out").write_text("old")
    locked.chmod(0o555)
    seeded.prefix = WITHOUT_RIGHTS
    tree = format in ("txt", "imagefolder")
    ended = seeded(*command(format, locked if tree else locked / "out"), code=1)
    assert "cannot be written: permission denied" in ended.err
    assert (os.listdir(locked), (locked / "out").read_text()) == (["out"], "old")


@pytest.mark.parametrize("format", TABLES)
def test_a_full_disk_leaves_the_old_file(seeded: Program, format: str, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "100k") as small:
        (small / "out").write_text("old")
        ended = seeded(*command(format, small / "out"), code=1)
        assert "cannot be written: no space left on device" in ended.err
        assert (os.listdir(small), (small / "out").read_text()) == (["out"], "old")


def test_sidecars_on_a_full_disk_go_on_once_there_is_room(seeded: Program, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "4m") as small:
        ended = seeded(*command("txt", small / "out"), code=1)
        assert "cannot be written: no space left on device" in ended.err
        files = list((small / "out").iterdir())
        assert {(file.suffix, file.read_text()) for file in files} == {(".txt", f"{TEXT}\n")}
        subprocess.run(["mount", "-o", "remount,size=100m", small], check=True)
        seeded(*command("txt", small / "out"))
        assert len(os.listdir(small / "out")) == ANSWERED


def test_the_format_goes_by_the_name(seeded: Program) -> None:
    seeded("export", "--batch", "first", "-o", "out.csv", "--where", "state=failed")
    assert (seeded.folder / "out.csv").read_text().startswith('"custom_id","batch"')
    refused = seeded("export", "-o", "out.jsonl", "--spreadsheet", code=2)
    assert "--spreadsheet is for csv, not for jsonl" in refused.err
    assert "--beside is for txt, caption, json, xmp" in seeded("export", "--format", "coco", "--beside", code=2).err
    assert "--on-exists is for" in seeded("export", "-o", "x.csv", "--on-exists", "skip", code=2).err
    assert "Which file?" in seeded("export", "--format", "coco", code=2).err
