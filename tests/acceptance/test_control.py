"""Batches and workers under control of a person at another terminal, with the installed program and a real engine."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from typing import Any

from tests.house import draw_many
from tests.program import PROGRAM, Program

LONG = ("--max-tokens", "60", "--max-num-seqs", "4", "--unverified", "--json")


def asked(program: Program, *options: str, pictures: int = 300) -> subprocess.Popen[str]:
    """A run of some length."""
    draw_many(program.folder / "in", pictures)
    return program.start("run", "in", "--name", "walk", *LONG, *options)


def ended(process: subprocess.Popen[str], code: int) -> tuple[Any, str]:
    out, err = process.communicate()
    assert process.returncode == code, err
    assert "Traceback" not in err
    return json.loads(out), err


def test_a_batch_that_is_cancelled_from_elsewhere(program: Program) -> None:
    process = asked(program)
    program.wait_for_answers(process, 5)
    assert "walk is cancelled with" in program("batch", "cancel", "walk").out
    outcome, _ = ended(process, 5)
    assert (outcome["state"], outcome["running"], outcome["queued"]) == ("cancelled", 0, 0)
    assert outcome["done"] + outcome["cancelled"] == 300 and outcome["cancelled"] > 0
    assert "so it cannot be paused" in program("batch", "pause", "walk", code=1).err
    again = program("batch", "rerun", "walk", "--where", "state=cancelled", "--yes")
    assert again.out == f"{outcome['cancelled']} jobs are queued again.\n"
    assert program("batch", "show", "walk", "--json").json["state"] == "in_progress"


def test_a_deadline_that_passes(program: Program) -> None:
    outcome, _ = ended(asked(program, "--deadline", "6s", pictures=2000), 4)
    assert (outcome["state"], outcome["running"], outcome["queued"]) == ("expired", 0, 0)
    assert outcome["cancelled"] > 0
    codes = program("export", "-o", "-", "--where", "error_code=deadline_passed").lines
    assert len(codes) == outcome["cancelled"]


def test_what_is_no_deadline(program: Program) -> None:
    draw_many(program.folder / "in", 1)
    assert "has passed already" in program("run", "in", "--deadline", "2001-01-01T00:00", code=2).err
    assert "such as 90m, 24h or 2d" in program("run", "in", "--deadline", "soon", code=2).err
    assert "high" in program("run", "in", "--priority", "urgent", code=2).err


def test_a_run_that_is_watched_paused_resumed_and_drained(program: Program) -> None:
    watching = program.start("status", "--watch", "--json")  # before there is any database
    process = asked(program, "--priority", "high", pictures=3000)
    assert watching.stdout
    busy = next(look for look in map(json.loads, watching.stdout) if any(row["done"] for row in look["batches"]))
    (row,) = busy["batches"]
    assert (row["name"], row["lane"]) == ("walk", "high")
    assert row["rate"] > 0 and row["left_s"] > 0
    watching.send_signal(signal.SIGINT)
    _, said = watching.communicate()
    assert (watching.returncode, "waiting for" in said) == (130, True)

    assert "walk is paused with" in program("batch", "pause", "walk").out
    program.wait_for(process, "batches where state = 'paused'", 1)
    assert "walk goes on with" in program("batch", "resume", "walk").out

    (worker,) = program("worker", "ls", "--json").lines
    assert (worker["state"], worker["pid"], worker["status"]["places"]) == ("working", process.pid, 4)
    assert f" {process.pid} " in program("worker", "ls").out
    assert "is asked to end" in program("worker", "drain", str(worker["id"])).out
    outcome, _ = ended(process, 130)
    assert outcome["interrupted"] and outcome["running"] == 0 and 0 < outcome["done"] < 3000
    assert program("worker", "ls", "--json").lines == []
    assert "pixmill worker ls" in program("worker", "drain", str(worker["id"]), code=1).err


def test_watching_on_a_terminal_and_elsewhere(program: Program) -> None:
    program("db", "upgrade")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PIXMILL_HOME": str(program.home), "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen([PROGRAM, "status", "--watch"], stdin=theirs, stdout=theirs, env=environment)
    os.close(theirs)
    seen = b""
    while b"No worker is there." not in seen:
        seen += os.read(ours, 4096)
    process.send_signal(signal.SIGINT)
    while process.poll() is None:
        try:
            seen += os.read(ours, 4096)
        except OSError:  # the other end is closed
            process.wait()
    os.close(ours)
    assert process.returncode == 130
    assert b"No batch is worked on." in seen
    assert b"\x1b[?25h" in seen  # the cursor is back

    assert_lines_on_a_terminal_that_cannot_go_back(program)
    elsewhere = program.start("status", "--watch")
    assert elsewhere.stdout
    assert elsewhere.stdout.readline().endswith("no batch is worked on; 0 workers\n")
    elsewhere.send_signal(signal.SIGINT)
    elsewhere.communicate()
    assert elsewhere.returncode == 130


def assert_lines_on_a_terminal_that_cannot_go_back(program: Program) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PIXMILL_HOME": str(program.home), "TERM": "dumb"}
    process = subprocess.Popen([PROGRAM, "status", "--watch"], stdin=theirs, stdout=theirs, env=environment)
    os.close(theirs)
    assert b"no batch is worked on; 0 workers" in os.read(ours, 4096)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    os.close(ours)
