"""`pixmill models compare`: the same requests through two builds, and how they differ."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline import listing, options
from pipeline.context import open_store
from pipeline.display import echo_json, note, number, table
from pipeline.options import EngineOptions
from pipeline.questions import Questions, question_options
from pipeline.settings import read_settings

if TYPE_CHECKING:
    from workers.comparison.report import Report


@click.command()
@click.argument("model_a", metavar="A")
@click.argument("model_b", metavar="B")
@click.option("--images", multiple=True, metavar="PATH", help="Pictures, a folder or a pattern. Repeatable.")
@click.option("-r", "--recursive", is_flag=True, help="Go into subfolders.")
@click.option("--from-batch", metavar="NAME", help="The pictures and questions of this batch.")
@question_options
@click.option(
    "--gt", type=click.Path(path_type=Path), metavar="FILE", help="Right answers; `pixmill eval` reads the same files."
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Ask about the first N only.")
@options.device
@options.engine
@click.option("--force", is_flag=True, help="Ask again what is answered already, so that speeds are measured.")
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write a page with the pictures.")
@listing.json_document
def compare(
    model_a: str,
    model_b: str,
    images: tuple[str, ...],
    recursive: bool,
    from_batch: str | None,
    questions: Questions,
    gt: Path | None,
    limit: int | None,
    device: str | None,
    engine: EngineOptions,
    force: bool,
    html: Path | None,
    as_json: bool,
) -> int:
    """Ask two models the same, and show how they differ.

    A and B are names or directories; B is asked when A has answered. Without --images or --from-batch the questions
    are about drawn scenes whose truth is known. Answers are kept like all others: the same command again asks only
    what is not known yet.
    """
    from workers.comparison import Wish, comparison
    from workers.session import INTERRUPTED

    settings = [read_settings({"model": name, "device": device}) for name in (model_a, model_b)]
    wish = Wish(
        images=images,
        recursive=recursive,
        batch=from_batch,
        questions=questions,
        gt=gt,
        limit=limit,
        force=force,
    )
    with open_store(settings[0]) as store:
        report = comparison(store, (settings[0], settings[1]), wish, engine, tell=note)
    if report is None:
        return INTERRUPTED
    if html:
        _write(html, report)
    show(report, as_json=as_json)
    return report.exit_code


def _write(html: Path, report: Report) -> None:
    from pipeline.export.files import replacing
    from pipeline.remote.fetcher import FetchLimits
    from workers.comparison.page import render
    from workers.limits import DecodeLimits
    from workers.opener import Opener

    settings = read_settings()
    opening = Opener(DecodeLimits.of(settings), settings.media_root, FetchLimits.of(settings))
    with replacing(str(html)) as file, opening as opener:
        file.write(render(report, opener))
    note(f"The page is {html}.")


def show(report: Report, *, as_json: bool) -> None:
    from workers.comparison.report import LISTED

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
    if (more := report.tally.compared - report.tally.equal - LISTED) > 0:
        click.echo(f"... and {number(more)} more that differ; --html shows them with their pictures.")
