"""`pixmill run`: ask about pictures and answer here and now, without a broker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import click

from pipeline import options
from pipeline.context import open_store
from pipeline.display import counted, echo_json, number, printable
from pipeline.inputs import Inputs, input_options
from pipeline.models.announcing import tell_of_older
from pipeline.options import EngineOptions, Terms
from pipeline.questions import Questions, question_options
from pipeline.settings import read_settings
from pipeline.store import Store
from pipeline.store.rows import ItemRow
from pipeline.store.values import Added
from pipeline.submit import ask, rehearse
from workers.session import FEW, Outcome, session


@click.command()
@input_options
@question_options
@options.model
@options.device
@options.engine
@options.terms
@options.name
@options.force
@options.dry_run
@click.option("--quiet", is_flag=True, help="No progress.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON document.")
def run(
    inputs: Inputs,
    questions: Questions,
    engine: EngineOptions,
    terms: Terms,
    model: str | None,
    device: str | None,
    name: str | None,
    force: bool,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Ask about pictures and answer here and now.

    PATH is a picture, a folder or a pattern. Without -q each picture is given a caption.
    Running the same command again goes on where it stopped and repeats nothing.
    """
    settings = read_settings({"model": model, "device": device})
    with open_store(settings) as store:
        with session(settings, store, engine, quiet=quiet) as here:
            rows = inputs.rows(settings, warn=here.progress.note)
            entries = ask(rows, questions.asking(here.model.defaults), here.model.alias)
            if dry_run:
                return show_rehearsal(rehearse(store, entries, force=force), as_json=as_json)
            spec = {"model": here.model.alias, **inputs.spec(), **questions.spec()}
            batch = store.open_batch(name, origin="run", spec=spec, lane=terms.lane, deadline=terms.deadline)
            outcome = here.answer(batch, entries, force=force)
        if outcome.added.linked_done:
            tell_of_older(store, here.model.alias, batch.id)
        show(store, outcome, as_json=as_json)
    return outcome.exit_code


def show(store: Store, outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        echo_json(outcome.document())
        return
    if outcome.counts.total <= FEW:
        for item in store.views.items(outcome.batch.name):
            click.echo("\n".join(_lines(item)))
    for sentence in outcome.sentences():
        click.echo(sentence, err=True)


def show_rehearsal(added: Added, *, as_json: bool) -> int:
    if as_json:
        echo_json(asdict(added))
    else:
        again = {"already waiting": added.linked_pending, "rows that cannot be asked about": added.invalid}
        parts = {"to ask": added.new + added.requeued, **again}
        click.echo(f"{counted(parts)}; {number(added.linked_done)} known already.")
    return 0


def _lines(item: ItemRow) -> Iterator[str]:
    names = ", ".join(picture.name for picture in item.pictures)
    yield click.style(f"{names}: {printable(item.question or '')}", bold=True)
    yield f"  {printable(item.answer.text if item.answer else item.error or item.state)}"
