"""`pixmill run`: ask about pictures and answer here and now, without a broker."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import click

from pipeline import options
from pipeline.context import open_store
from pipeline.display import echo_json, note, printable, things
from pipeline.export.files import shown
from pipeline.export.results import results
from pipeline.forms.options import FormOptions, form_options
from pipeline.inputs import Inputs, input_options
from pipeline.models.announcing import tell_of_older
from pipeline.notify.options import OnDone, on_done_options
from pipeline.options import EngineOptions, Reach, Terms
from pipeline.questions import Questions, question_options
from pipeline.rehearsal import rehearsal
from pipeline.rehearsal import show as show_rehearsal
from pipeline.settings import read_settings
from pipeline.store import Store
from pipeline.store.rows import ItemRow
from pipeline.wanted import Wanted
from workers.session import FEW, Outcome, session


@click.command()
@input_options
@question_options
@form_options
@options.model
@options.device
@options.engine
@options.terms
@options.name
@options.force
@options.no_cache
@options.reach
@on_done_options
@options.dry_run
@click.option("-o", "--output", metavar="OUT", help="A file for the results, in the format its name says; - is stdout.")
@click.option("--errors", metavar="FILE", help="A file for the items that failed, which OUT is then without.")
@click.option("--quiet", is_flag=True, help="No progress.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON document.")
def run(
    inputs: Inputs,
    questions: Questions,
    form: FormOptions,
    engine: EngineOptions,
    terms: Terms,
    reach: Reach,
    on_done: OnDone,
    model: str | None,
    device: str | None,
    name: str | None,
    force: bool,
    no_cache: bool,
    dry_run: bool,
    output: str | None,
    errors: str | None,
    quiet: bool,
    as_json: bool,
) -> int:
    """Ask about pictures and answer here and now.

    PATH is a picture, a folder or a pattern. Without -q each picture is given a caption.
    Running the same command again goes on where it stopped and repeats nothing.

    OUT is written at the end; for a batch file of the OpenAI form, line by line as answers come.
    """
    settings = read_settings({"model": model, "device": device, **reach.flags})
    told = on_done.whom(settings)
    inputs.spare(output, errors)
    live = output is not None and inputs.are_requests(settings)
    with open_store(settings) as store:
        with (
            session(settings, store, engine, quiet=quiet) as here,
            results(None if dry_run else output, None if dry_run else errors, live=live) as written,
        ):
            alias, defaults = here.model.alias, here.model.defaults
            wanted = Wanted(inputs=inputs, questions=questions, form=form.form(), model=alias, defaults=defaults)
            entries = wanted.entries(settings, note=here.progress.note)
            if dry_run:
                show_rehearsal(rehearsal(store, entries, model=alias, force=force), as_json=as_json)
                return 0
            spec = {**wanted.spec(), "no_cache": no_cache}
            batch = store.open_batch(name, origin="run", spec=spec, lane=terms.lane, deadline=terms.deadline)
            store.notices.want(batch.id, told)
            follow = functools.partial(written.follow, store.views, batch.name)
            outcome = here.answer(batch, entries, force=force, follow=follow)
            end = None if outcome.all_seen else outcome.added.total
            lines = written.finish(store.views, batch.name, end, complete=outcome.complete)
        if outcome.added.linked_done:
            tell_of_older(store, alias, batch.id)
        if told:
            from pipeline.notify.sending import tell

            tell(settings, store, batch, say=note)
        show(store, outcome, as_json=as_json, answers=output is None)
        if lines is not None:
            note(f"{things(lines, 'line')} written to {shown(output, errors)}.")
        elif output is not None:
            note(f"{shown(output, errors)} is written once all has ended.")
    return outcome.exit_code


def show(store: Store, outcome: Outcome, *, as_json: bool, answers: bool) -> None:
    if as_json:
        echo_json(outcome.document())
        return
    if answers and outcome.counts.total <= FEW:
        for item in store.views.items(outcome.batch.name):
            click.echo("\n".join(_lines(item)))
    for sentence in outcome.sentences():
        click.echo(sentence, err=True)


def _lines(item: ItemRow) -> Iterator[str]:
    if not item.pictures:  # of a row that could not be used, whose reason says which
        yield printable(item.error or item.state)
        return
    names = ", ".join(picture.name for picture in item.pictures)
    yield click.style(f"{names}: {printable(item.question or '')}", bold=True)
    yield f"  {printable(item.answer.text if item.answer else item.error or item.state)}"
