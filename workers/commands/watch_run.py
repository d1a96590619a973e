"""`pixmill watch run`: ask about each picture that is dropped into a folder."""

from __future__ import annotations

import click

from pipeline import options
from pipeline.context import open_store
from pipeline.forms.options import FormOptions, form_options
from pipeline.options import EngineOptions, Terms
from pipeline.questions import Questions, question_options
from pipeline.settings import Settings, read_settings
from pipeline.watching.options import PlanOptions, plan_options
from pipeline.watching.telling import Telling


@click.command()
@plan_options
@question_options
@form_options
@options.model
@options.device
@options.engine
@options.terms
@options.no_cache
@click.option("--name", metavar="NAME", help="A name for the watch.  [default: made of its folders' names]")
@click.option(
    "--local/--no-local",
    default=None,
    help="Answer here, or leave that to workers.  [default: local, unless a broker is set]",
)
@click.option("--oneshot", is_flag=True, help="End when all that is there now has been seen to.")
@click.option("--json", "as_json", is_flag=True, help="Events as JSON lines on standard output.")
def run(
    plan: PlanOptions,
    questions: Questions,
    form: FormOptions,
    engine: EngineOptions,
    terms: Terms,
    model: str | None,
    device: str | None,
    no_cache: bool,
    name: str | None,
    local: bool | None,
    oneshot: bool,
    as_json: bool,
) -> int:
    """Ask about each picture that is dropped into a folder, or into one below it.

    DIR is a folder; one that is not there yet is waited for. A file is taken when it is complete, and answered once:
    also across restarts. Ctrl-C or SIGTERM lets the engine finish what it has begun, and ends.
    """
    from workers.watching import Order, watch

    settings = read_settings({"model": model, "device": device})
    order = Order(
        plan=plan.plan(oneshot=oneshot),
        questions=questions,
        form=form.form(),
        engine=engine,
        terms=terms,
        no_cache=no_cache,
        name=name,
        local=_has_no_broker(settings) if local is None else local,
    )
    with open_store(settings) as store:
        return watch(settings, store, order, Telling(as_json=as_json))


def _has_no_broker(settings: Settings) -> bool:
    return "broker_url" not in settings.given
