"""`pixmill worker`."""

from __future__ import annotations

import click

from pipeline.lazy import Entry, LazyGroup

COMMANDS = {
    "run": Entry("workers.commands.worker_run:run", "Answer what was submitted for a model, on one device."),
    "ls": Entry("pipeline.commands.workers:ls", "List workers: where they run, on what, and how they do."),
    "drain": Entry(
        "pipeline.commands.workers:drain", "Let a worker take nothing new, finish what its engine has begun, and end."
    ),
    "health": Entry("pipeline.commands.health:health", "Say whether the workers here get on."),
}


@click.group(cls=LazyGroup, entries=COMMANDS)
def worker() -> None:
    """Run a worker, list workers, or let one end."""
