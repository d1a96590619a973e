"""`pixmill schedule`."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from pipeline import listing
from pipeline.context import open_store, open_to_read
from pipeline.deadlines import span
from pipeline.display import duration, echo_lines, moment, note, number, table, things
from pipeline.errors import IntervalUnfit, UsageError
from pipeline.settings import read_settings

if TYPE_CHECKING:
    from pipeline.schedules.rule import Rule
    from pipeline.store.schedules import FiringRow, ScheduleRow

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
STARTED_BY = "A worker or `pixmill schedule run` starts it."


def _span(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    if (seconds := span(value)) is None:
        raise IntervalUnfit(text=value, why="is no span of time")
    return seconds


def _name(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not _NAME.fullmatch(value):
        raise UsageError(detail=f"{value!r} cannot be a schedule's name: take letters, digits and any of _ . -")
    return value


@click.group()
def schedule() -> None:
    """Start commands by the clock."""


@schedule.command()
@click.argument("name", callback=_name)
@click.option("--cron", metavar="EXPR", help='Minute, hour, day, month, weekday: "0 2 * * *" is each night at two.')
@click.option("--every", metavar="SPAN", help="Instead of --cron: 15m, 6h, 2d, counted from now.")
@click.option("--tz", "zone", metavar="ZONE", help="The zone of the hours: Europe/Berlin.  [default: this machine's]")
@click.option(
    "--overlap",
    type=click.Choice(["skip", "queue"]),
    default="skip",
    show_default=True,
    help="When a time comes and the last one is not done: leave it out, or wait.",
)
@click.option(
    "--missed",
    type=click.Choice(["once", "skip"]),
    default="once",
    show_default=True,
    help="Times that passed while nothing ran: make up for them once, or leave them out.",
)
@click.option(
    "--grace", callback=_span, default="10m", show_default=True, metavar="SPAN", help="What is later counts as missed."
)
@click.option("--window", metavar="HOURS", help="Answer only at these hours: 22:00-06:00.")
@click.option("--deadline", metavar="SPAN", help="Give up what is not answered so long after.")
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
def add(name: str, window: str | None, deadline: str | None, words: tuple[str, ...], **clock: Any) -> None:
    """Add a schedule: pixmill schedule add NAME --cron "0 2 * * *" -- submit DIR -q QUESTION.

    COMMAND is any submit, rerun or export. It is checked now and stored as what it was understood to say, with
    absolute places, so that it runs alike wherever it is started.
    """
    from pipeline.schedules.doubts import doubts
    from pipeline.schedules.order import Order
    from pipeline.windows import Window

    settings = read_settings()
    rule = _rule(**clock)
    hours = None if window is None else str(Window.parse(window, zone=clock["zone"]))
    order = Order.parse(words, settings, clock["zone"]).with_terms(window=hours, deadline=deadline)
    with open_store(settings) as store:
        store.schedules.add(name, rule, order.stored())
        row = next(row for row in store.schedules.rows() if row.name == name)
        click.echo(f"{name} runs next at {', '.join(map(moment, row.next))}.")
        for doubt in doubts(order, settings, store):
            note(f"Right now {name} would fail: {doubt}")
    note(STARTED_BY)


def _rule(cron: str | None, every: str | None, zone: str | None, overlap: str, missed: str, grace: float) -> Rule:
    from pipeline import zones
    from pipeline.schedules.rule import Missed, Overlap, Rule, check_cron, check_interval, check_zone

    if (cron is None) == (every is None):
        raise UsageError(detail="When? Give --cron or --every, one of them.")
    now = time.time()
    zone = zones.local() if zone is None else check_zone(zone, now)
    return Rule(
        cron=None if cron is None else check_cron(cron, zone, now),
        zone=zone,
        every_s=None if every is None else check_interval(every),
        anchor=now,
        overlap=Overlap(overlap),
        missed=Missed(missed),
        grace_s=grace,
    )


@schedule.command()
@listing.json_lines
def ls(as_json: bool) -> None:
    """List schedules: when they run next, and how they last went."""
    with open_to_read() as store:
        rows = store.schedules.rows()
    if as_json:
        echo_lines(rows)
    else:
        for line in table(("NAME", "WHEN", "NEXT", "LAST", "RESULT"), map(_cells, rows)):
            click.echo(line)


@schedule.command()
@click.argument("name")
@listing.limit(20)
@listing.json_lines
def history(name: str, limit: int | None, as_json: bool) -> None:
    """Show how a schedule went, newest first."""
    with open_to_read() as store:
        rows = listing.up_to(store.schedules.history(name, listing.one_more(limit)), limit)
    if as_json:
        echo_lines(rows)
    else:
        for line in table(("DUE", "STARTED", "RESULT", "FOUND", "BATCH", "WHAT IT SAID"), map(_past, rows)):
            click.echo(line)


@schedule.command()
@click.argument("name")
def pause(name: str) -> None:
    """Let a schedule rest; what it has begun goes on."""
    with open_to_read() as store:
        paused = store.schedules.pause(name)
    click.echo(f"{name} is paused." if paused else f"{name} was paused already.")


@schedule.command()
@click.argument("name")
def resume(name: str) -> None:
    """Let a schedule run again; what it left out is not made up for."""
    with open_to_read() as store:
        resumed = store.schedules.resume(name)
    click.echo(f"{name} runs again." if resumed else f"{name} is not paused.")


@schedule.command("run-now")
@click.argument("name")
def run_now(name: str) -> None:
    """Run a schedule's command once more, as soon as the last one is done."""
    with open_to_read() as store:
        at_once = store.schedules.run_now(name)
    click.echo(f"{name} is due now." if at_once else f"{name} is due as soon as the last one is done.")
    note(STARTED_BY)


@schedule.command()
@click.argument("name")
def rm(name: str) -> None:
    """Remove a schedule and its history; batches and answers stay."""
    with open_to_read() as store:
        store.schedules.remove(name)
    click.echo(f"{name} is removed.")


@schedule.command()
def run() -> None:
    """Start what is due, until Ctrl-C or SIGTERM; for a machine on which no worker runs."""
    from pipeline import logs
    from pipeline.schedules.tending import tending, until_told

    settings = read_settings()
    logs.to_stderr()
    with open_store(settings) as store:
        stopped = threading.Event()
        note(f"Looking after {things(len(store.schedules.rows()), 'schedule')}. Ctrl-C ends it.")
        with until_told(stopped) as came:
            # Where no worker runs, nobody else ends batches whose deadline has passed or that were answered already.
            with tending(settings, store, store.settle) as tender:
                stopped.wait()
            tender.wait(note)
    if signal.SIGINT in came:
        raise click.Abort


def _cells(row: ScheduleRow) -> tuple[str, ...]:
    following = moment(row.next[0]) if row.next else "paused"
    last = row.last
    return (row.name, _when(row), following, moment(last.due) if last else "-", _result(last) if last else "-")


def _when(row: ScheduleRow) -> str:
    every = row.rule["every_s"]
    return f"every {duration(every)}" if every is not None else f"{row.rule['cron']} {row.rule['zone']}"


def _past(row: FiringRow) -> tuple[str, ...]:
    found = "-" if row.found is None else number(row.found)
    said = (row.detail or "").replace("\n", " ")
    return (moment(row.due), moment(row.fired), _result(row), found, row.batch or "-", said)


def _result(row: FiringRow) -> str:
    """How it ended; of a command that is done, how its batch stands."""
    return " ".join(_words(row)).replace("_", " ")


def _words(row: FiringRow) -> Iterator[str]:
    yield row.outcome
    if row.batch_state and row.outcome == "done":
        yield f"(batch {row.batch_state})"
