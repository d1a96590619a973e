"""`pixmill worker ls` and `drain`."""

from __future__ import annotations

import click

from pipeline import board, listing
from pipeline.context import open_to_read
from pipeline.display import echo_lines, printable


@click.command()
@listing.json_lines
def ls(as_json: bool) -> None:
    """List workers: where they run, on what, and how they do."""
    with open_to_read() as store:
        rows = store.views.workers()
    if as_json:
        echo_lines(rows)
    else:
        for line in board.workers(rows):
            click.echo(line)


@click.command()
@click.argument("worker", metavar="OWNER|ID")
def drain(worker: str) -> None:
    """Let a worker take nothing new, finish what its engine has begun, and end.

    ID is the number that `pixmill worker ls` shows, OWNER the name in its --json.
    """
    with open_to_read() as store:
        row = store.views.worker(worker)
        asked = store.drain(row.id)
    name = f"Worker {row.id} ({printable(row.host)}, process {row.pid})"
    click.echo(f"{name} {'is asked to end' if asked else 'was asked to end before'}.")
    click.echo("It finishes what its engine has begun; `pixmill worker ls` shows it until then.", err=True)
