"""`pixmill models compare`: the same requests through two builds, and how they differ."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from pipeline import listing, options
from pipeline.context import open_store
from pipeline.display import note
from pipeline.options import EngineOptions
from pipeline.questions import Questions, question_options
from pipeline.settings import read_settings


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
    what is not known yet. A follow-up question (`when:` in a file) is put to both where A's answers lead to it.
    """
    from workers.comparison import Wish, comparison, page
    from workers.marked import show
    from workers.pages.writing import write
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
        write(html, settings[0], partial(page.render, report))
        note(f"The page is {html}.")
    parting = report.tally.compared - report.tally.equal
    show(report, parting=parting, left="differ; --html shows them with their pictures.", as_json=as_json)
    return report.exit_code
