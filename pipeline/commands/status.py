"""`pixmill status`."""

from __future__ import annotations

from collections.abc import Iterator

import click

from pipeline import listing
from pipeline.context import open_to_read
from pipeline.display import counted, echo_json, moment, number, printable
from pipeline.store.rows import Status, WorkerRow


@click.command()
@listing.json_document
def status(as_json: bool) -> None:
    """Show how everything stands."""
    with open_to_read() as store:
        found = store.views.status()
    if as_json:
        echo_json(found)
    else:
        click.echo("\n".join(_lines(found)))


def _lines(status: Status) -> Iterator[str]:
    yield f"Jobs     {counted(status.jobs)}"
    yield f"Batches  {counted(status.batches)}"
    yield f"Answers  {number(status.answers)}" + (f", {number(status.cached)} from the cache" if status.cached else "")
    yield f"Workers  {number(len(status.workers)) if status.workers else 'none'}"
    for worker in status.workers:
        yield f"  {_worker(worker)}"


def _worker(worker: WorkerRow) -> str:
    parts = [f"{worker.host} {worker.pid}", worker.model or "no model", worker.device or "no device"]
    parts.append(f"since {moment(worker.started)}")
    parts += [f"{name} {value}" for name, value in (worker.status or {}).items()]
    return printable(" · ".join(parts + ["draining"] * worker.draining))
