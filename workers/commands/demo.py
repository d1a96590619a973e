"""`pixmill demo`: the whole way through the house, on pictures whose truth is known."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline import listing, options
from pipeline.context import open_store
from pipeline.display import echo_json, table, things
from pipeline.locators import Picture
from pipeline.options import EngineOptions
from pipeline.prompts import Ask
from pipeline.settings import Settings, read_settings
from pipeline.sources.rows import Row
from pipeline.store import Store
from pipeline.submit import ask
from workers.demo import page, sheet
from workers.demo.exercises import Exercise, exercises
from workers.demo.folder import Folder
from workers.demo.marking import cards, origins
from workers.demo.report import HEAD, Report, left_out_line
from workers.session import Outcome, Session, session

MODEL = "demo"


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("pixmill-demo"),
    show_default=True,
    metavar="DIR",
    help="The folder to make, or one that an earlier demo made.",
)
@click.option(
    "--scenes", type=click.IntRange(1, 9999), default=24, show_default=True, metavar="N", help="Pictures to draw."
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, metavar="N", help="Other pictures.")
@options.device
@options.engine
@listing.json_document
def demo(out: Path, scenes: int, seed: int, device: str | None, engine: EngineOptions, as_json: bool) -> int:
    """Ask the bundled model about drawn scenes; mark its answers.

    Running the same command again goes on where it stopped and repeats nothing.
    """
    settings = read_settings({"model": MODEL, "device": device})
    folder, tasks = Folder.at(out), list(exercises(seed, scenes))
    with open_store(settings) as store:
        with session(settings, store, engine) as here:
            draw(folder, tasks, here)
            outcome = answer(folder, tasks, here, settings, {"seed": seed, "scenes": scenes})
        report = mark(store, folder, tasks, outcome)
    folder.write(folder.page, page.render(report).encode())
    folder.write(folder.sheet, sheet.render(report))
    show(report, as_json=as_json)
    return outcome.exit_code


def draw(folder: Folder, tasks: list[Exercise], here: Session) -> None:
    here.progress.note(f"Drawing {things(len(tasks), 'scene')} in {folder.pictures}.")
    folder.draw(tasks)
    folder.tell(tasks)


def answer(folder: Folder, tasks: list[Exercise], here: Session, settings: Settings, terms: dict[str, int]) -> Outcome:
    """Ask each picture its own questions, by the way all pictures go."""
    batch = here.store.open_batch(None, origin="demo", spec={"model": MODEL, "folder": str(folder.path), **terms})
    rows = (
        Row(pictures=(Picture.at(folder.pictures / test.name, settings.media_root),), prompts=test.prompts())
        for test in tasks
    )
    return here.answer(batch, ask(rows, lambda row: Ask.all(row.prompts), here.model.alias))


def mark(store: Store, folder: Folder, tasks: list[Exercise], outcome: Outcome) -> Report:
    items = list(store.views.items(outcome.batch.name))
    return Report(
        folder=folder,
        cards=tuple(cards(tasks, items)),
        outcome=outcome,
        origins=tuple(origins([item.answer for item in items if item.answer])),
    )


def show(report: Report, *, as_json: bool) -> None:
    for sentence in report.outcome.sentences():
        click.echo(sentence, err=True)
    if as_json:
        echo_json(report.document())
        return
    for line in table(HEAD, report.rows()):
        click.echo(line)
    if left := report.left_out():
        click.echo(left_out_line(left))
    click.echo("\n".join(["", *report.figures(), "", *report.places(), "", "Try on them:"]))
    for command in report.commands():
        click.echo(f"  {command}")
