"""`pixmill submit`: ask about pictures; workers answer, here or on other machines."""

from __future__ import annotations

from dataclasses import asdict

import click

from pipeline import options
from pipeline.context import open_store
from pipeline.display import counted, echo_json, note, number
from pipeline.forms.options import FormOptions, form_options
from pipeline.inputs import Inputs, input_options
from pipeline.models import to_ask
from pipeline.models.announcing import tell_of_older
from pipeline.notify.options import OnDone, on_done_options
from pipeline.occasion import Occasion
from pipeline.options import Reach, Terms
from pipeline.progress import Progress
from pipeline.questions import Questions, question_options
from pipeline.rehearsal import rehearsal, show
from pipeline.settings import read_settings
from pipeline.store.values import Added
from pipeline.wanted import Wanted

LONG_S = 2.0
"""a submission that takes longer shows how far it is"""


@click.command()
@input_options
@question_options
@form_options
@options.model
@options.terms
@options.window
@options.name
@options.force
@options.no_cache
@options.reach
@on_done_options
@options.dry_run
@click.option("--json", "as_json", is_flag=True, help="Print what became of it as one JSON document.")
def submit(
    inputs: Inputs,
    questions: Questions,
    form: FormOptions,
    terms: Terms,
    reach: Reach,
    on_done: OnDone,
    model: str | None,
    window: str | None,
    name: str | None,
    force: bool,
    no_cache: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Ask about pictures; workers answer.

    PATH is a picture, a folder or a pattern. Without -q each picture is given a caption.
    Running the same command again submits only what is new.
    """
    from pipeline import broker
    from pipeline.dispatch import dispatch

    settings = read_settings({"model": model, **reach.flags})
    told = on_done.whom(settings)
    with open_store(settings) as store, Progress("questions", after_s=LONG_S) as progress:
        alias, defaults = to_ask(store, settings.model, settings.home, tell=note)
        wanted = Wanted(inputs=inputs, questions=questions, form=form.form(), model=alias, defaults=defaults)
        entries = progress.follow(wanted.entries(settings, note=progress.note))
        if dry_run:
            show(rehearsal(store, entries, model=alias, force=force), as_json=as_json)
            return
        occasion = Occasion.current("submit")
        batch = store.open_batch(
            name or occasion.batch,
            origin=occasion.origin,
            spec={**wanted.spec(), "no_cache": no_cache},
            lane=terms.lane,
            deadline=terms.deadline,
            window=window,
        )
        store.notices.want(batch.id, told)
        queue = broker.CeleryQueue(broker.app(settings), alias)
        sent = dispatch(store, queue, alias, batch.id, entries, force=force)
        if sent.added.linked_done:
            tell_of_older(store, alias, batch.id)
    _show(sent.added, {"batch": batch.name, "broker_reached": sent.held_up is None}, as_json=as_json)
    if sent.held_up:
        note(f"{sent.held_up} All is stored: tickets go out when it is back and a worker runs.")
    elif sent.added.unfinished and not as_json:
        note(f"How it goes: pixmill batch show {batch.name}")


def _show(added: Added, more: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        echo_json({**more, **asdict(added)})
        return
    again = {"already waiting": added.linked_pending, "that cannot be asked about": added.invalid}
    parts = {"queued": added.new + added.requeued, "that earlier answers decide about": added.waiting, **again}
    click.echo(f"{counted(parts)}; {number(added.linked_done)} known already.")
