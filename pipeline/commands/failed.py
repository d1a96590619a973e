"""`pixmill failed`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from pipeline import listing
from pipeline.context import open_to_read
from pipeline.display import echo_json, echo_lines, moment, note, number, printable, table
from pipeline.errors import UsageError
from pipeline.jobs import State
from pipeline.rerun import HINT, run_again
from pipeline.store.rows import ItemRow, JobRow

if TYPE_CHECKING:
    from pipeline.store import Store


def code(command: listing.F) -> listing.F:
    return click.option("--code", metavar="CODE", help="Only with this code, such as image_missing.")(command)


@click.group()
def failed() -> None:
    """List, show or retry what failed."""


@failed.command()
@listing.batch
@code
@listing.where
@listing.limit(50)
@listing.json_lines
def ls(batch: str | None, code: str | None, where: tuple[str, ...], limit: int | None, as_json: bool) -> None:
    """List failed jobs, newest first.

    With --batch in the order of its input, with rows that could not become a job.
    """
    with open_to_read() as store:
        found = store.views.failed(batch=batch, code=code, where=where, limit=listing.one_more(limit))
        rows = listing.up_to(found, limit)
        if as_json:
            echo_lines(rows)
        else:
            for line in table(("JOB", "CODE", "PICTURE", "QUESTION", "WHY"), map(_cells, rows)):
                click.echo(line)


@failed.command()
@click.argument("job", type=int)
@listing.json_document
def show(job: int, as_json: bool) -> None:
    """Show everything about one job, failed or not."""
    with open_to_read() as store:
        row = store.views.job(job)
    if as_json:
        echo_json(row)
    else:
        click.echo("\n".join(_lines(row)))


@failed.command()
@click.argument("job", type=int, nargs=-1)
@listing.batch
@code
def retry(job: tuple[int, ...], batch: str | None, code: str | None) -> None:
    """Queue failed jobs again: those named, or those of --batch and --code."""
    if not (job or batch or code):
        raise UsageError(detail="Which jobs? Name them, or give --batch or --code; `pixmill failed ls` lists them.")
    if job and (batch or code):
        raise UsageError(detail="Give either job numbers, or --batch and --code.")
    with open_to_read() as store:
        ids = _checked(store, job) if job else _found(store, batch, code)
        count = run_again(store, ids, batch=store.views.batch_head(batch).id if batch else None)
    click.echo(f"{number(count)} queued again.")
    if count:
        click.echo(HINT, err=True)
    if left := len(ids) - count:
        note(f"{number(left)} stay as they are: no batch lists them any more. Ask for their pictures again.")


def _checked(store: Store, ids: Iterable[int]) -> list[int]:
    for row in map(store.views.job, ids):
        if row.state != State.FAILED:
            raise UsageError(detail=f"Job {row.id} is {row.state}: only failed jobs are retried.")
    return list(ids)


def _found(store: Store, batch: str | None, code: str | None) -> list[int]:
    # All first: what is queued again would drop out of the listing while it is paged through.
    return [row.job for row in store.views.failed(batch=batch, code=code) if row.job is not None]


def _cells(row: ItemRow) -> tuple[str, ...]:
    place = f"row {row.row}" if row.job is None else str(row.job)
    names = ", ".join(picture.name for picture in row.pictures)
    return (place, row.error_code or "", names or "-", row.question or "-", row.error or "")


def _lines(row: JobRow) -> Iterator[str]:
    yield f"Job {row.id}: {row.state}" + (f", {row.error_code}: {printable(row.error or '')}" if row.error_code else "")
    for picture in row.pictures:
        size = f" ({picture.format}, {picture.width}x{picture.height})" if picture.format else ""
        yield f"Picture   {picture.name}{size}"
    yield f"Question  {printable(row.question)}"
    yield f"Model     {printable(row.model)}" + (f" on {row.device_class}" if row.device_class else "")
    yield f"Tries     {row.attempts} failed, {row.crashes} engines crashed"
    yield f"Batches   {printable(', '.join(row.batches)) or '-'}"
    yield f"Created   {moment(row.created)}, changed {moment(row.updated)}"
    for answer in row.answers:
        mark = "Answer    " if answer.id == row.current else "Earlier   "
        origin = f"{moment(answer.created)}, build {answer.build.digest[:8]} on {answer.runtime.device}"
        yield f"{mark}{printable(answer.text)} ({origin})"
