"""`pixmill run`: ask about pictures and answer here and now, without a broker."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import click

from pipeline import options
from pipeline.builds import find_model
from pipeline.context import open_store
from pipeline.display import counted, duration, echo_json, number, printable
from pipeline.models import register
from pipeline.options import EngineOptions, Inputs, Questions
from pipeline.progress import Progress
from pipeline.settings import read_settings
from pipeline.store import Store
from pipeline.store.rows import ItemRow
from pipeline.store.values import Added, Counts, OpenBatch
from pipeline.submit import ask_each, rehearse, submit
from workers.engine.client import Figures
from workers.local import LocalRun, Stop
from workers.worker import Worker, WorkerConfig

FEW = 20
"""So many answers are shown when a run ends; more are better looked at with `pixmill answers`."""
SOME_FAILED, INTERRUPTED = 3, 130


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended."""

    batch: OpenBatch
    counts: Counts
    added: Added
    cached: int
    seconds: float
    engine: Figures
    interrupted: bool

    @property
    def asked(self) -> int:
        """Items answered by this run, by the engine or from the cache."""
        return self.counts.done - self.added.linked_done

    @property
    def exit_code(self) -> int:
        if self.interrupted:
            return INTERRUPTED
        return SOME_FAILED if self.counts.failed else 0

    def document(self) -> dict[str, object]:
        rate = round(self.asked / self.seconds, 3) if self.seconds else None
        return {
            "batch": self.batch.name,
            **asdict(self.counts),
            "known_before": self.added.linked_done,
            "answered_now": self.asked,
            "cached": self.cached,
            "seconds": round(self.seconds, 3),
            "answers_per_second": rate,
            "load_seconds": round(self.engine.load_s, 3),
            "mean_running": round(self.engine.mean_running, 2),
            "interrupted": self.interrupted,
        }

    def sentences(self) -> Iterator[str]:
        """What a person wants to know at the end."""
        known = self.added.linked_done
        parts = {"answered now": self.asked, "from the cache": self.cached, "known before": known}
        rate = f", {self.asked / self.seconds:,.1f} answers/s" if self.asked and self.seconds else ""
        yield f"{counted(parts)}; {number(self.counts.failed)} failed. {duration(self.seconds)}{rate}."
        if self.counts.failed:
            yield f"Why they failed: pixmill failed ls --batch {self.batch.name}"
        if self.interrupted:
            yield f"{number(self.counts.unfinished)} are still to do. Run the same command again to go on."
        elif self.counts.done > FEW:
            yield f"The answers: pixmill answers --batch {self.batch.name}"


@click.command()
@options.inputs
@options.questions
@click.option("-m", "--model", metavar="MODEL", help="A model's name or its directory.")
@click.option("--device", metavar="DEVICE", help="An OpenVINO device; `pixmill devices` lists them.")
@options.engine
@click.option("--name", metavar="NAME", help="A name for the batch.")
@click.option("--force", is_flag=True, help="Ask again what is answered already; old answers stay stored.")
@click.option("--dry-run", is_flag=True, help="Say what would be asked, and ask nothing.")
@click.option("--quiet", is_flag=True, help="No progress.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON document.")
def run(
    inputs: Inputs,
    questions: Questions,
    engine: EngineOptions,
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
    with open_store(settings) as store, Progress(quiet=quiet) as progress:
        used = register(store, find_model(settings.model, settings.home), tell=progress.note)
        config = WorkerConfig.of(settings, used.path, engine)
        items = ask_each(inputs.pictures(settings, warn=progress.note), questions.prompts(), used.alias)
        if dry_run:
            return show_rehearsal(rehearse(store, items, force=force), as_json=as_json)
        spec = {"model": used.alias, **inputs.spec(), **questions.spec()}
        batch = store.open_batch(name, origin="run", spec=spec)
        local = LocalRun(
            store=store,
            start_worker=lambda: Worker(store, used, config),
            batch=batch.id,
            model=used.alias,
            stop=Stop(),
            tell=lambda counts: progress.update(done=counts.done, failed=counts.failed, total=counts.total),
        )
        with interruptible(local.stop, progress.note):
            outcome = answer(local, batch, submit(store, batch.id, items, force=force))
    show(store, outcome, as_json=as_json)
    return outcome.exit_code


def answer(local: LocalRun, batch: OpenBatch, submission: Iterator[Added]) -> Outcome:
    """Submit and answer, until all items have ended or a person stops it."""
    begun = time.monotonic()
    counts = local.work(submission)
    return Outcome(
        batch=batch,
        counts=counts,
        added=local.added,
        cached=local.tally["cached"],
        seconds=time.monotonic() - begun,
        engine=local.figures,
        interrupted=local.stop.times > 0,
    )


@contextmanager
def interruptible(stop: Stop, note: Callable[[str], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM ask to stop instead of raising; a second one is heard as well."""

    def heard(number: int, frame: object) -> None:
        stop.ask()
        if stop.times == 1:
            note("Stopping: what the engine has begun is finished first. Ctrl-C again stops at once.")

    before = {number: signal.signal(number, heard) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
        parts = {"to ask": added.new + added.requeued, "already waiting": added.linked_pending}
        click.echo(f"{counted(parts)}; {number(added.linked_done)} known already.")
    return 0


def _lines(item: ItemRow) -> Iterator[str]:
    names = ", ".join(picture.name for picture in item.pictures)
    yield click.style(f"{names}: {printable(item.question or '')}", bold=True)
    yield f"  {printable(item.answer.text if item.answer else item.error or item.state)}"
