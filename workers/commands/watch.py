"""`pixmill watch`."""

from __future__ import annotations

import click

from pipeline.lazy import Entry, LazyGroup

COMMANDS = {
    "run": Entry("workers.commands.watch_run:run", "Ask about each picture that is dropped into a folder."),
    "ls": Entry("pipeline.commands.watch:ls", "List watches: what they look after, and how their files stand."),
    "explain": Entry("pipeline.commands.watch:explain", "Say why a file was taken, waits, or is left alone."),
}


@click.group(cls=LazyGroup, entries=COMMANDS)
def watch() -> None:
    """Watch folders: what is dropped into them is answered."""
