"""`pixmill status`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import NoReturn

import click

from pipeline import board
from pipeline.context import open_once_there, open_to_read
from pipeline.display import counted, echo_json, echo_lines, number, terminal_width
from pipeline.store import Store
from pipeline.store.rows import Activity, Status

Show = Callable[[Activity], object]

LOOK_EVERY_S = 1.0
LINE_EVERY_S = 5.0
LOOKING_SHARE = 0.1
"""Share of the time that looking may take: it grows with the batches, and others need the database."""


@click.command()
@click.option("--watch", is_flag=True, help="Show what goes on, again and again, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document; with --watch one on each line.")
def status(watch: bool, as_json: bool) -> None:
    """Show how everything stands.

    With --watch what goes on right now: batches and the time they need, queues, workers.
    """
    if watch:
        with open_once_there() as store:
            follow(store, as_json=as_json)
    with open_to_read() as store:
        found = store.views.status()
    if as_json:
        echo_json(found)
    else:
        click.echo("\n".join(_lines(found)))


def follow(store: Store, *, as_json: bool) -> NoReturn:
    """Look and show until a person has seen enough."""
    every = LOOK_EVERY_S if as_json or _is_redrawn() else LINE_EVERY_S
    with _screen(as_json=as_json) as show:
        while True:
            begun = time.monotonic()
            activity = store.views.activity()
            took = time.monotonic() - begun
            show(activity)
            time.sleep(max(every, took / LOOKING_SHARE))


@contextmanager
def _screen(*, as_json: bool) -> Iterator[Show]:
    """Where to show: in place on a terminal that can, else as one line after the other."""
    if as_json:
        yield lambda activity: echo_lines([activity])
    elif not _is_redrawn():
        yield lambda activity: click.echo(f"{datetime.now().astimezone():%H:%M:%S} {board.line(activity)}")
    else:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        with Live(console=Console(), auto_refresh=False) as live:
            yield lambda activity: live.update(Text("\n".join(board.board(activity))), refresh=True)


def _is_redrawn() -> bool:
    """Whether stdout is a terminal that takes back what it shows; one without that would show only the end."""
    if terminal_width() is None:
        return False
    from rich.console import Console

    return not Console().is_dumb_terminal


def _lines(status: Status) -> Iterator[str]:
    yield f"Jobs     {counted(status.jobs)}"
    yield f"Batches  {counted(status.batches)}"
    yield f"Answers  {number(status.answers)}" + (f", {number(status.cached)} from the cache" if status.cached else "")
    yield f"Workers  {number(len(status.workers)) if status.workers else 'none'}"
    if status.workers:
        yield from (f"  {line}" for line in board.workers(status.workers))
