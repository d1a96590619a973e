"""`pixmill try`: ask about a few pictures now, and say what all of them would take."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from pipeline import listing, options
from pipeline.context import open_store
from pipeline.display import echo_json, note
from pipeline.errors import UsageError
from pipeline.forms.options import FormOptions, form_options
from pipeline.inputs import Inputs, input_options
from pipeline.options import EngineOptions, Reach
from pipeline.questions import Questions, question_options
from pipeline.settings import read_settings
from pipeline.sources.sample import sample
from pipeline.submit import ask
from pipeline.wanted import Wanted
from workers.pages.writing import write
from workers.session import session
from workers.trying import page
from workers.trying.command import Remembering, for_all
from workers.trying.report import Report

OWN = ("size", "sample_seed", "html", "force", "as_json")
"""the options that only this command has, or that would ask everything again"""


@click.command("try", cls=Remembering)
@input_options
@question_options
@form_options
@options.model
@options.device
@options.engine
@options.reach
@click.option(
    "--sample",
    "size",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    metavar="N",
    help="How many pictures.",
)
@click.option(
    "--sample-seed", type=click.IntRange(min=0), default=1, show_default=True, metavar="N", help="Other pictures."
)
@click.option("--force", is_flag=True, help="Ask again what is answered already, so that speed is measured.")
@click.option(
    "--html",
    type=click.Path(path_type=Path),
    default=Path("pixmill-try.html"),
    show_default=True,
    metavar="FILE",
    help="The page to write.",
)
@listing.json_document
@click.pass_context
def try_(
    context: click.Context,
    inputs: Inputs,
    questions: Questions,
    form: FormOptions,
    engine: EngineOptions,
    reach: Reach,
    model: str | None,
    device: str | None,
    size: int,
    sample_seed: int,
    force: bool,
    html: Path,
    as_json: bool,
) -> int:
    """Ask about a few pictures now; say what all would take.

    PATH is a picture, a folder or a pattern. The pictures are chosen by lot. Their answers are kept: the command
    that is shown at the end goes on from them. A page with pictures and answers is written to look at.
    """
    settings = read_settings({"model": model, "device": device, **reach.flags})
    with open_store(settings) as store:
        with session(settings, store, engine) as here:
            alias, defaults = here.model.alias, here.model.defaults
            wanted = Wanted(inputs=inputs, questions=questions, form=form.form(), model=alias, defaults=defaults)
            chosen = sample(wanted.rows(settings, note=here.progress.note), size, sample_seed)
            if not chosen.rows:
                raise UsageError(detail="There is nothing to try: no pictures were found.")
            spec = {**wanted.spec(), "sample": size, "sample_seed": sample_seed}
            batch = store.open_batch(None, origin="try", spec=spec)
            outcome = here.answer(batch, ask(chosen.rows, wanted.asking, alias), force=force)
        report = Report(
            items=tuple(store.views.items(batch.name)),
            in_all=chosen.seen,
            unfit=chosen.unfit,
            outcome=outcome,
            command=for_all(context, ("pixmill", "run"), without=OWN),
        )
    write(html, settings, partial(page.render, report))
    show(report, html, as_json=as_json)
    return outcome.exit_code


def show(report: Report, html: Path, *, as_json: bool) -> None:
    if as_json:
        echo_json({**report.document(), "page": str(html)})
        return
    for line in report.lines():
        click.echo(line)
    click.echo("\n".join(["", *report.estimate(), "", "All of it:", f"  {report.command}"]))
    note(f"The page is {html}.")
