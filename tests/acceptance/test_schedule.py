"""The installed program: `pixmill schedule`, with processes that start what is due."""

from __future__ import annotations

import json
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.house import draw_many
from tests.program import Program
from tests.servers import Redis

PATIENCE_S = 60.0


def wait_for(program: Program, query: str, count: int) -> None:
    """Wait until the database answers a query with this number."""
    until = time.monotonic() + PATIENCE_S
    with closing(sqlite3.connect(f"file:{program.home}/pixmill.db?mode=ro", uri=True)) as connection:
        while connection.execute(query).fetchone()[0] != count:
            assert time.monotonic() < until
            time.sleep(0.05)


def ended(program: Program, count: int) -> list[dict[str, Any]]:
    """The history, once so many firings have ended; newest first."""
    wait_for(program, "select count(*) from firings where outcome in ('done', 'failed')", count)
    rows: list[dict[str, Any]] = program("schedule", "history", "night", "--json").lines
    return rows


def test_schedules_start_commands_of_which_none_found_is_a_failure(online: Program, redis: Redis) -> None:
    draw_many(online.folder / "in", 2)
    words = ("submit", "in", "-r", "-q", "What?", "--max-tokens", "4")
    added = online("schedule", "add", "night", "--cron", "0 2 * * *", "--tz", "Europe/Berlin", "--", *words)
    assert added.out.startswith("night runs next at ")
    online("schedule", "add", "files", "--every", "15m", "--", "export", "-o", "out.csv")
    assert "'25' is no hour" in online("schedule", "add", "x", "--cron", "0 25 * * *", "--", *words, code=2).err
    said: list[str] = []
    keepers = [online.start("schedule", "run") for _ in range(2)]
    online("schedule", "run-now", "night")
    (first,) = ended(online, 1)
    assert (first["outcome"], first["found"], first["batch_state"]) == ("done", 2, "in_progress")
    assert first["batch"].startswith("night-")
    online("batch", "cancel", first["batch"])
    for path in (online.folder / "in").iterdir():
        path.unlink()
    online("schedule", "run-now", "night")
    second = ended(online, 2)[0]
    assert (second["outcome"], second["found"]) == ("failed", 0)
    assert second["detail"].startswith("Found 0, where there were 2 the last time.")
    by_name = {row["name"]: row for row in online("schedule", "ls", "--json").lines}
    assert (len(by_name["night"]["next"]), by_name["night"]["last"]["outcome"]) == (3, "failed")
    assert by_name["files"]["spec"]["given"]["output"] == f"file://{online.folder}/out.csv"
    for keeper, number, code in zip(keepers, (signal.SIGTERM, signal.SIGINT), (0, 130), strict=True):
        keeper.send_signal(number)
        _, err = keeper.communicate(timeout=PATIENCE_S)
        assert keeper.returncode == code, err
        said.append(err)
    assert sum('outcome=failed said="Found 0, where there were 2' in err for err in said) == 1


def test_a_running_worker_starts_what_is_due_and_tells_when_it_is_answered(online: Program, tmp_path: Path) -> None:
    draw_many(online.folder / "in", 1)
    told = tmp_path / "told"
    (online.folder / "pixmill.toml").write_text(f'[commands]\nkeep = ["tee", "{told}"]\n')
    words = ("submit", "in", "-q", "What?", "--max-tokens", "4", "--on-done-run", "keep")
    online("schedule", "add", "night", "--every", "1d", "--", *words)
    worker = online.start("worker", "run", "--unverified", "--max-num-seqs", "4", "--cores", "0")
    online("schedule", "run-now", "night")
    online.wait_for_answers(worker, 1)
    (row,) = ended(online, 1)
    assert row["outcome"] == "done"
    wait_for(online, "select count(*) from notices where state = 'sent'", 1)
    assert json.loads(told.read_text())["batch"] == row["batch"]
    worker.send_signal(signal.SIGTERM)
    _, err = worker.communicate(timeout=PATIENCE_S)
    assert worker.returncode == 0, err
    assert "action=fired schedule=night" in err


def test_who_is_told_hears_of_a_run_and_the_report_shows_it(program: Program, tmp_path: Path) -> None:
    draw_many(program.folder / "in", 2)
    told = tmp_path / "told"
    (program.folder / "pixmill.toml").write_text(f'[commands]\nkeep = ["tee", "{told}"]\n')
    words = ("run", "in", "-q", "What?", "--max-tokens", "4", "--name", "n", "--unverified", "--quiet")
    assert "names no such command" in program(*words, "--on-done-run", "mail", code=2).err
    program(*words, "--on-done-run", "keep")
    assert json.loads(told.read_text())["counts"]["done"] == 2
    shown = program("batch", "show", "n", "--json").json["notices"]
    assert [(notice["target"], notice["state"]) for notice in shown] == [("keep", "sent")]
    assert program("report", "--json").json["answers"] == {"tiny": 2}
    program("report", "--html", "report.html")
    assert "<h1>Since " in (program.folder / "report.html").read_text()


DIES = """import os, sys
told, again = sys.argv[1:]
open(told, "a").write(sys.stdin.read() + "\\n")
if not os.path.exists(again):
    open(again, "w").close()
    os.kill(os.getppid(), 9)
"""
"""a command that kills who runs it, the first time"""


def test_who_is_told_is_told_although_the_program_was_killed_in_between(program: Program, tmp_path: Path) -> None:
    """The kill comes after the batch's end: while the first is being told, and before the second is."""
    draw_many(program.folder / "in", 1)
    first, second = tmp_path / "first", tmp_path / "second"
    dies = [sys.executable, "-c", DIES, str(first), str(tmp_path / "again")]
    commands = {"dies": dies, "keep": ["tee", str(second)]}
    lines = [f"{name} = {json.dumps(words)}\n" for name, words in commands.items()]
    (program.folder / "pixmill.toml").write_text("".join(["[commands]\n", *lines]))
    words = ("run", "in", "-q", "What?", "--max-tokens", "4", "--name", "n", "--unverified", "--quiet")
    program(*words, "--on-done-run", "dies", "--on-done-run", "keep", code=-signal.SIGKILL)
    shown = program("batch", "show", "n", "--json").json
    assert shown["state"] == "completed"
    assert [notice["state"] for notice in shown["notices"]] == ["sending", "waiting"]
    keeper = program.start("schedule", "run")
    wait_for(program, "select count(*) from notices where state = 'sent'", 1)
    assert json.loads(second.read_text())["batch"] == "n"
    with closing(sqlite3.connect(program.home / "pixmill.db")) as connection, connection:
        connection.execute("update notices set due = 0")  # as if the time that a sender is given had passed
    wait_for(program, "select count(*) from notices where state = 'sent'", 2)
    told = [json.loads(line) for line in first.read_text().splitlines()]
    assert len(told) == 2
    assert told[0] == told[1], "with the number by which the receiver drops the second"
    keeper.send_signal(signal.SIGTERM)
    _, err = keeper.communicate(timeout=PATIENCE_S)
    assert keeper.returncode == 0, err
