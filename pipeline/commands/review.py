"""`pixmill review`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pipeline import listing
from pipeline.context import open_to_read
from pipeline.display import note, printable, things
from pipeline.errors import AnswerUnknown, UsageError
from pipeline.settings import read_settings

if TYPE_CHECKING:
    from pipeline.store import Store
    from pipeline.store.reviews import Review

by = click.option("--by", metavar="WHO", help="Who says so.")


@click.group()
def review() -> None:
    """Mark and correct answers, one by one or in a file.

    What a model said stays stored. A person's text counts in its place, also after later answers to the same
    question; an answer that was taken from the cache shares the reviews of the one it was taken from.
    """


@review.command("set")
@click.argument("job", type=click.IntRange(min=1), required=False)
@click.option(
    "--answer", type=click.IntRange(min=1), metavar="ID", help="This answer, in place of a job's current one."
)
@click.option("--right", is_flag=True, help="The answer is right.")
@click.option("--wrong", is_flag=True, help="It is wrong. It stays the current one, marked, until there is a better.")
@click.option("--text", metavar="TEXT", help="What counts in its place.")
@by
def set_(job: int | None, answer: int | None, right: bool, wrong: bool, text: str | None, by: str | None) -> None:
    """Say what you think of a job's current answer, or of any answer."""
    if [right, wrong, text is not None].count(True) != 1:
        raise UsageError(detail="What is it? Give one of --right, --wrong and --text TEXT.")
    if text is not None and not text.strip():
        raise UsageError(detail="--text is empty: an answer without a text is --wrong.")
    if (job is None) == (answer is None):
        raise UsageError(detail="Which answer? Give a job's number, or --answer ID; `pixmill answers` shows both.")
    with open_to_read() as store:
        id = _current(store, job) if answer is None else answer
        _tell(store, _said(id, right, text, by))


def _said(answer: int | None, right: bool, text: str | None, by: str | None) -> Review:
    from pipeline.store.dialects import plain, plain_or_none
    from pipeline.store.reviews import Review, Verdict

    verdict = Verdict.CORRECTED if text is not None else Verdict.RIGHT if right else Verdict.WRONG
    return Review(answer=answer or 0, verdict=verdict, text=plain_or_none(text), by=None if by is None else plain(by))


def _current(store: Store, job: int | None) -> int:
    row = store.views.job(job or 0)
    if row.current is None:
        raise UsageError(detail=f"Job {row.id} is {row.state} and has no answer: there is nothing to review.")
    return row.current


def _tell(store: Store, said: Review) -> None:
    from pipeline.store.reviews import Outcome

    (outcome,) = store.review([said])
    if outcome is Outcome.UNKNOWN:
        raise AnswerUnknown(id=said.answer)
    if outcome is Outcome.KNOWN:
        click.echo(f"That was said of answer {said.answer} already.")
    elif said.text is None:
        click.echo(f"Answer {said.answer} is {said.verdict}.")
    else:
        click.echo(f"Answer {said.answer} reads now: {printable(said.text)}")


@review.command()
@click.argument("text", required=False)
@click.option("-o", "--output", required=True, metavar="FILE", help="The file to write: .csv or .jsonl.")
@listing.batch
@click.option("-m", "--model", metavar="ALIAS", help="Only of this model.")
@listing.where
@listing.limit(0)
def export(
    text: str | None, output: str, batch: str | None, model: str | None, where: tuple[str, ...], limit: int | None
) -> None:
    """Write current answers to a file to be looked at, newest first.

    With TEXT only those that `pixmill answers TEXT` finds. Fill in the columns `verdict` (right or wrong) or `text`
    (what it should say), and give the file to `pixmill review import`. An answer that others were copied from
    stands there once.
    """
    from pipeline.review.writing import write

    with open_to_read() as store:
        found = store.views.answers(text, batch=batch, model=model, where=where, limit=limit)
        count = write(found, output)
    note(f"{things(count, 'answer')} in {output}. Fill in verdict or text, then: pixmill review import {output}")


@review.command("import")
@click.argument("file")
@by
@click.pass_context
def import_(context: click.Context, file: str, by: str | None) -> None:
    """Store the reviews in a file that `review export` wrote and a person filled in.

    Rows without verdict and text say nothing. The same file again adds nothing. Rows that cannot be used are told
    with their line, and the others are stored; the exit code is 1 then.
    """
    from pipeline.review.reading import read

    settings = read_settings()
    with open_to_read(settings) as store:
        count = read(store, file, settings, by=by, complain=note)
    known = f", {count.known:,} known already" if count.known else ""
    silent = f", {count.silent:,} without a verdict or a text" if count.silent else ""
    bad = f", {count.bad:,} that cannot be used" if count.bad else ""
    click.echo(f"{things(count.stored, 'review')} stored{known}{silent}{bad}.")
    context.exit(1 if count.bad else 0)
