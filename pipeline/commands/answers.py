"""`pixmill answers`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import click

from pipeline import listing
from pipeline.cleaning import Cleaning, clean_options
from pipeline.context import open_to_read
from pipeline.display import duration, echo_lines, moment, note, number, printable
from pipeline.errors import UsageError
from pipeline.store.rows import AnswerRow, HistoryRow
from pipeline.words import Search

EVERY = 0
"""what `--history` means without a job"""


@click.command()
@click.argument("text", required=False)
@listing.batch
@click.option("-m", "--model", metavar="ALIAS", help="Only of this model.")
@listing.where
@click.option(
    "--history",
    type=click.IntRange(min=0),
    is_flag=False,
    flag_value=EVERY,
    metavar="[JOB]",
    help="Also answers that others replaced; with a job's number, all about its answers.",
)
@click.option("--after", type=click.IntRange(min=1), metavar="ID", help="Go on behind the answer with this id.")
@clean_options
@listing.limit(20)
@listing.json_lines
def answers(
    text: str | None,
    batch: str | None,
    model: str | None,
    where: tuple[str, ...],
    history: int | None,
    cleaning: Cleaning,
    after: int | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """List answers, newest first.

    With TEXT only those in which all of its words stand: word, begin*, "words side by side". Capitals and accents
    make no difference. What a person corrected is found by the correction.
    """
    if history:
        if text or batch or model or where or after:
            raise UsageError(detail=f"--history {history} shows the answers of one job, without further conditions.")
        _show_history(history, cleaning, as_json=as_json)
        return
    if text is not None and not Search.parse(text).phrases:
        note(f"There is no word in {printable(text)!r} to search for.")
    with open_to_read() as store:
        found = store.views.answers(
            text,
            batch=batch,
            model=model,
            where=where,
            history=history is not None,
            after=after,
            limit=listing.one_more(limit),
        )
        rows = map(cleaning.answer, listing.up_to(found, limit))
        if as_json:
            echo_lines(rows)
        else:
            for row in rows:
                click.echo("\n".join(_lines(row)))


def _show_history(job: int, cleaning: Cleaning, *, as_json: bool) -> None:
    with open_to_read() as store:
        found = store.views.history(job)
    rows = [replace(row, answer=cleaning.answer(row.answer)) for row in found]
    if as_json:
        echo_lines(rows)
    for row in () if as_json else rows:
        click.echo("\n".join(_of_history(row)))
    if not rows:
        note(f"Job {job} has no answer yet.")


def _of_history(row: HistoryRow) -> Iterator[str]:
    yield from _lines(row.answer)
    if row.answer.text != row.answer.model_text:
        yield f"  the model said: {printable(row.answer.model_text)}"
    for review in row.reviews:
        who = f" by {printable(review.reviewer)}" if review.reviewer else ""
        said = f": {printable(review.text)}" if review.text is not None else ""
        yield click.style(f"  {review.verdict}{who}, {moment(review.created)}{said}", dim=True)
    yield click.style("  current" if row.current else "  replaced", dim=True)


def _lines(row: AnswerRow) -> Iterator[str]:
    names = ", ".join(picture.name for picture in row.pictures)
    yield click.style(f"{names}: {printable(row.question)}", bold=True)
    yield f"  {printable(row.text)}"
    yield click.style(f"  {_origin(row)}", dim=True)


def _origin(row: AnswerRow) -> str:
    parts = [
        f"answer {row.id} of job {row.job}",
        f"{printable(row.model)} {row.build.precision} {row.build.digest[:8]}",
        row.runtime.device,
        f"{number(row.answer_tokens)} tokens" + (", cut short" if row.finish_reason == "length" else ""),
        duration(row.total_s) if row.cached_from is None else "from the cache",
        moment(row.created),
    ]
    return " · ".join(parts + ([f"review: {printable(row.review.verdict)}"] if row.review else []))
