"""`pixmill batch`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from pipeline import listing
from pipeline.context import open_to_read
from pipeline.display import counted, echo_json, echo_lines, moment, number, printable, table, things, to_json
from pipeline.errors import BatchEnded, BatchLive
from pipeline.jobs import BatchState
from pipeline.rerun import HINT, run_again
from pipeline.store.notices import Notice
from pipeline.store.rows import BatchHead, BatchRow
from pipeline.store.values import Moved

if TYPE_CHECKING:
    from pipeline.store import Store

_PAST = {BatchState.CANCELLED: "cancelled", BatchState.PAUSED: "paused", BatchState.IN_PROGRESS: "resumed"}
_ALREADY = {
    BatchState.CANCELLED: "has just ended by itself",
    BatchState.PAUSED: "is paused already",
    BatchState.IN_PROGRESS: "is not paused: it goes on already",
}

names = click.argument("names", nargs=-1, required=True, metavar="NAME...")


@click.group()
def batch() -> None:
    """List, show, pause, resume, cancel, rerun or remove batches."""


@batch.command()
@listing.limit(20)
@listing.json_lines
def ls(limit: int | None, as_json: bool) -> None:
    """List batches, newest first."""
    with open_to_read() as store:
        rows = listing.up_to(store.views.batches(listing.one_more(limit)), limit)
        if as_json:
            echo_lines(rows)
        else:
            for line in table(("NAME", "STATE", "ITEMS", "DONE", "FAILED", "CREATED", "ORIGIN"), map(_cells, rows)):
                click.echo(line)


@batch.command()
@click.argument("name")
@listing.json_document
def show(name: str, as_json: bool) -> None:
    """Show one batch: its items by state, its failures by code, what was asked."""
    with open_to_read() as store:
        row, told = store.views.batch(name), store.notices.of(name)
    if as_json:
        echo_json({**asdict(row), "notices": told})
    else:
        click.echo("\n".join([*_lines(row), *map(_told, told)]))


@batch.command()
@names
def cancel(names: tuple[str, ...]) -> None:
    """Cancel batches: what only they want ends, in the engines too. Answers stay."""
    _move(names, BatchState.CANCELLED, _cancelled)


@batch.command()
@names
def pause(names: tuple[str, ...]) -> None:
    """Pause batches: what is in an engine is finished, the rest waits."""
    _move(names, BatchState.PAUSED, _paused)


@batch.command()
@names
def resume(names: tuple[str, ...]) -> None:
    """Let paused batches go on."""
    _move(names, BatchState.IN_PROGRESS, _resumed)


@batch.command()
@click.argument("name")
@listing.where
@click.option("--fresh", is_flag=True, help="Ask the engine even where an equal picture was answered before.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def rerun(name: str, where: tuple[str, ...], fresh: bool, yes: bool) -> None:
    """Run a batch's jobs again that have ended.

    All of them, or those that fit: --where error_code=image_missing, --where build!=current. Their old
    answers stay stored. A batch that has ended lives again.
    """
    with open_to_read() as store:
        head = store.views.batch_head(name)
        jobs = dict(store.views.ended(name, where=where))
        if not jobs:
            click.echo(f"Nothing that has ended in {printable(name)} fits: nothing is run again.")
            return
        if yes or click.confirm(f"Run {counted(Counter(jobs.values()))} of {printable(name)} again?", err=True):
            count = run_again(store, jobs, batch=head.id, fresh=fresh)
            paused = f", and wait until `pixmill batch resume {name}`" if head.state is BatchState.PAUSED else ""
            click.echo(f"{things(count, 'job')} {'is' if count == 1 else 'are'} queued again{paused}.")
            click.echo(HINT, err=True)


@batch.command()
@names
@click.option("--yes", is_flag=True, help="Do not ask.")
def rm(names: tuple[str, ...], yes: bool) -> None:
    """Remove batches that have ended, with the jobs and answers that only they list.

    What a person reviewed stays, and what other batches list.
    """
    with open_to_read() as store:
        store.settle()
        for head in [_ended(store, name) for name in dict.fromkeys(names)]:
            held = dict(list(store.housekeeping.contents(head.id).items())[1:])
            what = ", ".join(things(count, name) for name, count in held.items())
            if yes or click.confirm(f"Remove {printable(head.name)} with {what}?", err=True):
                for _ in store.housekeeping.remove_batch(head.id, head.name):
                    pass
                click.echo(f"{printable(head.name)} is removed with {what}.")


def _ended(store: Store, name: str) -> BatchHead:
    head = store.views.batch_head(name)
    if head.finished is None:
        raise BatchLive(name=name, state=head.state.replace("_", " "))
    return head


def _move(names: Iterable[str], state: BatchState, say: Callable[[Moved], str]) -> None:
    """Bring all of the batches to a state, or none when one of them has ended."""
    with open_to_read() as store:
        for head in [_live(store, name, state) for name in dict.fromkeys(names)]:
            moved = store.set_batch_state(head.id, state)
            click.echo(f"{printable(head.name)} {say(moved) if moved else _ALREADY[state]}.")


def _live(store: Store, name: str, state: BatchState) -> BatchHead:
    head = store.views.batch_head(name)
    if head.finished is not None:
        raise BatchEnded(name=name, state=head.state, when=moment(head.finished), verb=_PAST[state])
    return head


def _cancelled(moved: Moved) -> str:
    held = f". Workers hold {number(moved.running)} now, which stop within seconds" if moved.running else ""
    return f"is cancelled with {_to_do(moved)}{held}"


def _paused(moved: Moved) -> str:
    held = f". Workers hold {number(moved.running)} now, which are finished" if moved.running else ""
    return f"is paused with {_to_do(moved)}{held}"


def _resumed(moved: Moved) -> str:
    return f"goes on with {things(moved.open, 'item')} to do"


def _to_do(moved: Moved) -> str:
    others = f". Other batches still want {number(moved.shared)} of its jobs, which go on" if moved.shared else ""
    return f"{things(moved.open, 'item')} still to do{others}"


def _told(notice: Notice) -> str:
    why = f": {printable(notice.error)}" if notice.error else ""
    return f"Told      {printable(notice.target)}, {notice.state}{why}"


def _cells(row: BatchRow) -> tuple[str, ...]:
    counts = row.counts
    figures = (number(counts.total), number(counts.done), number(counts.failed))
    return (row.name, row.state, *figures, moment(row.created), row.origin)


def _lines(row: BatchRow) -> Iterator[str]:
    by_state = asdict(row.counts)
    total = by_state.pop("total")
    yield f"{printable(row.name)}: {row.state.replace('_', ' ')}, made by {printable(row.origin)}"
    yield f"Items     {number(total)}: {counted(by_state)}"
    if row.errors:
        yield f"Failures  {', '.join(f'{number(count)} {code}' for code, count in row.errors.items())}"
    yield f"Created   {moment(row.created)}"
    if row.finished is not None:
        yield f"Finished  {moment(row.finished)}"
    if row.deadline is not None:
        yield f"Deadline  {moment(row.deadline)}"
    if row.window:
        yield f"Window    {printable(row.window)}"
    yield f"Lane      {row.lane}"
    yield f"Asked     {printable(to_json(row.spec))}"
