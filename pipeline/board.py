"""The board: what goes on right now, as lines for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.display import duration, moment, number, printable, table, things
from pipeline.progress import COUNT, Tally, figures
from pipeline.store.rows import ActiveBatch, Activity, QueueRow, WorkerRow

BATCHES = ("BATCH", "STATE", "LANE", "DONE", "FAILED", "RATE", "LEFT", "DEADLINE")
QUEUES = ("MODEL", "LANE", "QUEUED")
WORKERS = ("WORKER", "HOST", "PID", "MODEL", "DEVICE", "STATE", "RUNNING", "RATE", "DONE", "SINCE")


def board(activity: Activity) -> Iterator[str]:
    """Everything, in three tables; what there is none of in a word."""
    if activity.batches:
        yield from table(BATCHES, map(_batch, activity.batches))
    else:
        yield "No batch is worked on."
    yield ""
    if activity.queues:
        yield from table(QUEUES, map(_queue, activity.queues))
    else:
        yield "Nothing waits for a worker."
    yield ""
    if activity.workers:
        yield from workers(activity.workers)
    else:
        yield "No worker is there."


def workers(rows: tuple[WorkerRow, ...]) -> Iterator[str]:
    return table(WORKERS, map(_worker, rows))


def line(activity: Activity) -> str:
    """Everything in one line, for a log."""
    batches = [f"{printable(row.name)} {_progress(row)}" for row in activity.batches]
    return "; ".join([*(batches or ["no batch is worked on"]), things(len(activity.workers), "worker")])


def _progress(row: ActiveBatch) -> str:
    state = "" if row.state == "in_progress" else f"{row.state}, "
    return state + figures(Tally(done=row.done, failed=row.failed, total=row.total), row.rate)


def _batch(row: ActiveBatch) -> tuple[str, ...]:
    done = f"{number(row.done)} of {number(row.total)}"
    left = "-" if row.left_s is None else duration(row.left_s)
    return (row.name, row.state, row.lane, done, number(row.failed), _rate(row.rate), left, moment(row.deadline))


def _queue(row: QueueRow) -> tuple[str, ...]:
    return (row.model, row.lane, number(row.queued) + ("+" if row.at_least else ""))


def _worker(row: WorkerRow) -> tuple[str, ...]:
    told = row.status or {}
    running = f"{told['running']} of {told['places']}" if "places" in told else "-"
    place = (str(row.id), row.host, str(row.pid), row.model or "-", row.device or "-")
    return (*place, row.state, running, _rate(told.get("rate")), _count(told.get("done", 0)), moment(row.started))


def _rate(rate: float | None) -> str:
    return "-" if rate is None else COUNT.rate(rate)


def _count(value: Any) -> str:
    return number(int(value))
