"""A session: what a command needs that answers here and now, and how the answering ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from pipeline.display import counted, duration, number
from pipeline.jobs import BatchState
from pipeline.models import Model, use
from pipeline.options import EngineOptions
from pipeline.progress import Progress
from pipeline.settings import Settings
from pipeline.signals import heeding
from pipeline.store import Store
from pipeline.store.values import Added, Counts, OpenBatch
from pipeline.submit import Entry, submit
from workers.engine.client import Figures
from workers.local import LocalRun, Stop
from workers.verification import ensure
from workers.worker import Worker, WorkerConfig

FEW = 20
"""So many answers are shown when a run ends; more are better looked at with `pixmill answers`."""
SOME_FAILED, TOO_LATE, CANCELLED, INTERRUPTED = 3, 4, 5, 130
GIVEN_UP = {
    BatchState.EXPIRED: (TOO_LATE, "The deadline passed"),
    BatchState.CANCELLED: (CANCELLED, "The batch was cancelled"),
}
"""how a batch may end before its items have -> exit code and reason"""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How the answering of a batch ended."""

    batch: OpenBatch
    state: BatchState
    counts: Counts
    added: Added
    cached: int
    unheld: int = 0
    """answers whose form could only be checked"""
    seconds: float
    engine: Figures
    interrupted: bool
    all_seen: bool
    """whether the source of the items was read to its end"""

    @property
    def asked(self) -> int:
        """Items answered now, by the engine or from the cache."""
        return self.counts.done - self.added.linked_done

    @property
    def complete(self) -> bool:
        """Whether each item has ended."""
        return self.all_seen and not self.interrupted and not self.counts.unfinished

    @property
    def rate(self) -> float | None:
        """Answers a second, the engine's start included."""
        return self.asked / self.seconds if self.seconds else None

    @property
    def exit_code(self) -> int:
        if self.interrupted:
            return INTERRUPTED
        if self.state in GIVEN_UP:
            return GIVEN_UP[self.state][0]
        return SOME_FAILED if self.counts.failed else 0

    def document(self) -> dict[str, object]:
        return {
            "batch": self.batch.name,
            "state": self.state,
            **asdict(self.counts),
            "known_before": self.added.linked_done,
            "answered_now": self.asked,
            "cached": self.cached,
            "unheld": self.unheld,
            "seconds": round(self.seconds, 3),
            "answers_per_second": None if self.rate is None else round(self.rate, 3),
            "load_seconds": round(self.engine.load_s, 3),
            "mean_running": round(self.engine.mean_running, 2),
            "interrupted": self.interrupted,
        }

    def sentences(self) -> Iterator[str]:
        """What a person wants to know at the end."""
        known = self.added.linked_done
        parts = {"answered now": self.asked, "from the cache": self.cached, "known before": known}
        rate = f", {self.rate:,.1f} answers/s" if self.rate else ""
        yield f"{counted(parts)}; {number(self.counts.failed)} failed. {duration(self.seconds)}{rate}."
        if self.unheld:
            yield "This model cannot be held to a form: answers were checked, and asked again where they had another."
        if self.counts.failed:
            yield f"Why they failed: pixmill failed ls --batch {self.batch.name}"
        if self.state in GIVEN_UP:
            left = self.counts.cancelled + self.counts.unfinished
            yield f"{GIVEN_UP[self.state][1]} before {number(left)} were answered."
            yield "Run the same command again to answer them after all."
        elif self.interrupted:
            more = "" if self.all_seen else ", and what was not looked at yet"
            yield f"{number(self.counts.unfinished)} are still to do{more}. Run the same command again to go on."
        elif self.counts.done > FEW:
            yield f"The answers: pixmill answers --batch {self.batch.name}"


@dataclass(frozen=True, kw_only=True)
class Session:
    """A store, the model to ask, and how a worker of this process runs it."""

    store: Store
    model: Model
    config: WorkerConfig
    progress: Progress
    unverified: bool = False
    """whether a build may be asked that was never seen working on its device"""

    def answer(
        self,
        batch: OpenBatch,
        entries: Iterable[Entry],
        *,
        force: bool = False,
        follow: Callable[[int | None], None] = lambda end: None,
    ) -> Outcome:
        """Submit and answer, until all entries have ended or a person stops it. `follow`: see `LocalRun`."""
        begun = time.monotonic()

        def start_worker() -> Worker:
            nonlocal begun
            if not self.unverified:
                ensure(self.store, self.model, self.config, tell=self.progress.note, pause=local.stop.heed)
            begun = time.monotonic()  # a check that is made once is no part of how quick the answers come
            return Worker(self.store, self.model, self.config)

        local = LocalRun(
            store=self.store,
            start_worker=start_worker,
            batch=batch.id,
            model=self.model.alias,
            stop=Stop(),
            tell=lambda counts: self._tell(counts, growing=local.submitting),
            note=self.progress.note,
            follow=follow,
        )
        with interruptible(local.stop):
            counts = local.work(submit(self.store, batch.id, local.stop.watch(entries), force=force))
        return Outcome(
            batch=batch,
            state=local.state,
            counts=counts,
            added=local.added,
            cached=local.tally["cached"],
            unheld=local.tally["unheld"],
            seconds=time.monotonic() - begun,
            engine=local.figures,
            interrupted=local.stop.times > 0,
            all_seen=not local.submitting,
        )

    def _tell(self, counts: Counts, *, growing: bool) -> None:
        self.progress.update(done=counts.done, failed=counts.failed, total=counts.total, growing=growing)


@contextmanager
def session(settings: Settings, store: Store, engine: EngineOptions, *, quiet: bool = False) -> Iterator[Session]:
    """A session with the settings' model; progress is shown as long as it lasts."""
    with Progress(quiet=quiet) as progress:
        model = use(store, settings.model, settings.home, tell=progress.note)
        config = WorkerConfig.of(settings, model.path, engine)
        yield Session(store=store, model=model, config=config, progress=progress, unverified=engine.unverified)


@contextmanager
def interruptible(stop: Stop) -> Iterator[None]:
    """Ctrl-C and SIGTERM ask to stop instead of raising; a second one is heard as well."""

    def heard(number: int, frame: object) -> None:
        # Nothing is printed here: a write that was interrupted refuses another one from within.
        stop.interrupt()

    with heeding(heard):
        yield
