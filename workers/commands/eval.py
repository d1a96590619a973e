"""`pixmill eval`: answers marked against the truth."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline import blobs, listing
from pipeline.context import open_to_read
from pipeline.display import echo_json, note, number, table
from pipeline.evaluation import evaluation
from pipeline.evaluation.metrics import METRICS
from pipeline.evaluation.report import LISTED, Report
from pipeline.export.files import replacing
from pipeline.remote.fetcher import FetchLimits
from pipeline.settings import Settings, read_settings


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
    settings = read_settings()
    with open_to_read(settings) as store:
        report = evaluation(store, settings, gt=gt, batch=batch, where=where, wanted=metrics)
    if html:
        _write(html, report, settings)
    show(report, as_json=as_json)


def _write(html: Path, report: Report, settings: Settings) -> None:
    from workers.evaluation.page import render
    from workers.limits import DecodeLimits
    from workers.opener import Opener

    places = (settings.media_root, FetchLimits.of(settings), blobs.folder(settings))
    opening = Opener(DecodeLimits.of(settings), *places)
    with replacing(str(html)) as file, opening as opener:
        file.write(render(report, opener))
    note(f"The page is {html}.")


def show(report: Report, *, as_json: bool) -> None:
    if as_json:
        echo_json(report.document())
        return
    for line in table(report.head(), report.rows()):
        click.echo(line)
    click.echo("\n".join(["", *report.sentences()]))
    if report.tally.worst:
        click.echo()
        for line in table(report.worst_head(), report.worst(LISTED)):
            click.echo(line)
    if (more := report.tally.imperfect - LISTED) > 0:
        click.echo(f"... and {number(more)} more that are not all right; --html shows the worst with their pictures.")
