"""`pixmill eval`: answers marked against the truth."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from pipeline import listing
from pipeline.context import open_to_read
from pipeline.display import note
from pipeline.evaluation import evaluation
from pipeline.evaluation.metrics import METRICS
from pipeline.settings import read_settings


@click.command("eval")
@click.option(
    "--gt", required=True, metavar="FILE", help="Right answers: a table, VQAv2's annotations, COCO's captions."
)
@listing.batch
@listing.where
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    type=click.Choice(list(METRICS)),
    help="How to mark. Repeatable.  [default: cider-d and cider for captions, else vqa, exact and anls]",
)
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write a page with the worst answers.")
@listing.json_document
def evaluate(
    gt: str, batch: str | None, where: tuple[str, ...], metrics: tuple[str, ...], html: Path | None, as_json: bool
) -> None:
    """Mark answers against the truth in a file.

    An item is found in it by its own id, else by its picture and question. What failed counts as wrong; what the
    truth and the items do not have in common is counted.
    """
    from workers.evaluation import page
    from workers.marked import show
    from workers.pages.writing import write

    settings = read_settings()
    with open_to_read(settings) as store:
        report = evaluation(store, settings, gt=gt, batch=batch, where=where, wanted=metrics)
    if html:
        write(html, settings, partial(page.render, report))
        note(f"The page is {html}.")
    left = "are not all right; --html shows the worst with their pictures."
    show(report, parting=report.tally.imperfect, left=left, as_json=as_json)
