"""`pixmill answers`."""

from __future__ import annotations

from collections.abc import Iterator

import click

from pipeline import listing
from pipeline.cleaning import Cleaning, clean_options
from pipeline.context import open_to_read
from pipeline.display import duration, echo_lines, moment, number, printable
from pipeline.store.rows import AnswerRow


@click.command()
@click.argument("text", required=False)
@listing.batch
@click.option("-m", "--model", metavar="ALIAS", help="Only of this model.")
@listing.where
@click.option("--history", is_flag=True, help="Also answers that newer ones replaced.")
@click.option("--after", type=click.IntRange(min=1), metavar="ID", help="Go on behind the answer with this id.")
@clean_options
@listing.limit(20)
@listing.json_lines
def answers(
    text: str | None,
    batch: str | None,
    model: str | None,
    where: tuple[str, ...],
    history: bool,
    cleaning: Cleaning,
    after: int | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """List answers, newest first.

    With TEXT only those that contain it.
    """
    with open_to_read() as store:
        found = store.views.answers(
            text,
            batch=batch,
            model=model,
            where=where,
            history=history,
            after=after,
            limit=listing.one_more(limit),
        )
        rows = map(cleaning.answer, listing.up_to(found, limit))
        if as_json:
            echo_lines(rows)
        else:
            for row in rows:
                click.echo("\n".join(_lines(row)))


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
