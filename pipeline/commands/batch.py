"""`pixmill batch`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import click

from pipeline import listing
from pipeline.context import open_to_read
from pipeline.display import counted, echo_json, echo_lines, moment, number, printable, table, to_json
from pipeline.store.rows import BatchRow


@click.group()
def batch() -> None:
    """List batches, or show one."""


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
        row = store.views.batch(name)
    if as_json:
        echo_json(row)
    else:
        click.echo("\n".join(_lines(row)))


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
