"""The installed program: workers with a real engine that are killed, drained and watched."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.house import draw_many
from tests.program import Program, children
from tests.servers import Redis

PATIENCE_S = 60.0
QUESTIONS = ("-q", "What?", "-q", "Where?")
PICTURES = 60
WORKER = ("worker", "run", "--unverified", "--max-num-seqs", "4")


@pytest.fixture
def started(online: Program) -> Iterator[list[subprocess.Popen[str]]]:
    """Workers that were started; whatever happens, none is left."""
    running: list[subprocess.Popen[str]] = []
    yield running
    for worker in running:
        worker.kill()
        worker.communicate()


def engine_of(worker: subprocess.Popen[str]) -> int:
    (engine,) = (pid for pid in children(worker.pid) if b"workers.engine" in Path(f"/proc/{pid}/cmdline").read_bytes())
    return engine


def answers_by_job(program: Program) -> list[tuple[str, int, int]]:
    """The state of each job, how many answers it has, and how many of them under another token than its last."""
    query = """
        select jobs.state, count(answers.id), sum(answers.claim_token != jobs.claim_token)
        from jobs left join answers on answers.job_id = jobs.id group by jobs.id"""
    with closing(sqlite3.connect(program.home / "pixmill.db")) as connection:
        return connection.execute(query).fetchall()


def test_two_workers_whose_plugs_are_pulled(
    online: Program, redis: Redis, started: list[subprocess.Popen[str]]
) -> None:
    draw_many(online.folder / "in", PICTURES)
    online("submit", "in", *QUESTIONS, "--max-tokens", "8")
    first, second = (online.start(*WORKER, "--cores", core) for core in ("0", "1"))
    started += [first, second]
    online.wait_for_answers(second, 10)
    first.kill()
    online.wait_for_answers(second, 30)
    os.kill(engine_of(second), signal.SIGKILL)
    online.wait_for_answers(second, 50)
    redis.client.flushall()
    third = online.start(*WORKER)
    started.append(third)
    online.wait_for_answers(second, 2 * PICTURES)
    for worker in (second, third):
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE_S) == 0
    assert answers_by_job(online) == [("done", 1, 0)] * 2 * PICTURES


def test_a_worker_that_is_drained_gives_back_what_it_has_not_begun(
    online: Program, started: list[subprocess.Popen[str]]
) -> None:
    draw_many(online.folder / "in", 2_000)
    online("submit", "in", "--max-tokens", "60")
    worker = online.start(*WORKER)
    started.append(worker)
    online.wait_for_answers(worker, 1)
    (row,) = online("worker", "ls", "--json").lines
    assert "is asked to end" in online("worker", "drain", str(row["id"])).out
    assert worker.wait(PATIENCE_S) == 0
    states = [state for state, *_ in answers_by_job(online)]
    assert set(states) == {"done", "queued"} and len(states) == 2_000
    with closing(sqlite3.connect(online.home / "pixmill.db")) as connection:
        assert connection.execute("select max(attempts), max(crashes) from jobs").fetchone() == (0, 0)
