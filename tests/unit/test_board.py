"""pipeline.board: what goes on, for people."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pipeline.board import board, line, workers
from pipeline.jobs import BatchState
from pipeline.store.rows import ActiveBatch, Activity, QueueRow, WorkerRow, WorkerState

BATCH = ActiveBatch(
    name="nightly",
    state=BatchState.IN_PROGRESS,
    lane="normal",
    deadline=None,
    total=5000,
    done=1200,
    failed=3,
    open=3797,
    rate=2.0,
    left_s=1898.5,
)
STATUS = {"running": 12, "places": 16, "held": 40, "rate": 3.25, "done": 1234}


def worker(status: Any = None, state: WorkerState = WorkerState.WORKING) -> WorkerRow:
    return WorkerRow(
        id=7,
        owner="desk/b/n/4711/1",
        host="desk",
        pid=4711,
        model="llava",
        device="GPU.0",
        state=state,
        status=status,
        started=0.0,
        lease_until=9.0,
    )


def activity(*batches: ActiveBatch, **more: Any) -> Activity:
    return Activity(**{"at": 1.0, "batches": batches, "queues": (), "workers": (), **more})


def words(lines: Any) -> list[list[str]]:
    return [line.split() for line in lines]


def test_three_tables() -> None:
    queues = (
        QueueRow(model="llava", lane="high", queued=12, at_least=False),
        QueueRow(model="llava", lane="low", queued=20_000, at_least=True),
    )
    shown = words(board(activity(BATCH, queues=queues, workers=(worker(STATUS),))))
    assert " ".join(shown[1]) == "nightly in_progress normal 1,200 of 5,000 3 2.0/s 31 min 38 s -"
    assert ["llava", "high", "12"] in shown
    assert ["llava", "low", "20,000+"] in shown
    assert " ".join(shown[-1][:-2]) == "7 desk 4711 llava GPU.0 working 12 of 16 3.2/s 1,234"


def test_what_there_is_none_of_is_said() -> None:
    assert [line for line in board(activity()) if line] == [
        "No batch is worked on.",
        "Nothing waits for a worker.",
        "No worker is there.",
    ]


def test_a_worker_that_has_told_nothing_yet() -> None:
    (_, shown) = words(workers((worker(state=WorkerState.LEASE_OVER),)))
    assert shown[5:10] == ["lease", "over", "-", "-", "0"]


def test_one_line() -> None:
    assert line(activity(BATCH, workers=(worker(), worker()))) == (
        "nightly 1,203 of 5,000 · 3 failed · 2.0/s · 31 min 38 s left; 2 workers"
    )
    assert line(activity()) == "no batch is worked on; 0 workers"


def test_names_cannot_steer_the_terminal() -> None:
    odd = replace(BATCH, name="a\x1b[31m", state=BatchState.PAUSED, rate=None, left_s=None)
    assert "\x1b" not in line(activity(odd)) + "".join(board(activity(odd)))
    assert "paused, 1,203 of 5,000" in line(activity(odd))
