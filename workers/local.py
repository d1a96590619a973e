"""Answering a batch here and now: the embedded form of submitting to workers."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from pipeline.queue import TICKET, LocalQueue, top_up
from pipeline.store import Store
from pipeline.store.values import Added, Counts
from workers.engine.client import Figures
from workers.worker import Worker

LOOK_EVERY_S = 0.2
"""How often to look for jobs that wait for their back-off, or that another program holds."""
COUNTING_SHARE = 0.05
"""Share of the time that counting a large batch may take."""
GRACE_S = 600.0
"""How long a first Ctrl-C lets the engine finish what it has begun; a second one does not wait."""


@dataclass
class Stop:
    """A person's wish to stop, which may come at any moment: once to finish what runs, twice to drop it."""

    times: int = 0
    _wake: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        self.times += 1
        self._wake.set()

    def wake(self) -> None:
        """Something happened: look again."""
        self._wake.set()

    def wait(self, seconds: float) -> None:
        self._wake.wait(seconds)
        self._wake.clear()


@dataclass(kw_only=True)
class LocalRun:
    """One batch, answered by a worker of this process, which is started when there is something to do."""

    store: Store
    start_worker: Callable[[], Worker]
    batch: int
    model: str
    stop: Stop
    tell: Callable[[Counts], None]
    added: Added = field(default_factory=Added)
    tally: Counter[str] = field(default_factory=Counter)
    figures: Figures = field(default_factory=Figures)
    _counted: float = 0.0
    _count_every: float = LOOK_EVERY_S

    def work(self, submission: Iterator[Added]) -> Counts:
        """Submit and answer until each item has ended, or until asked to stop."""
        with ExitStack() as stack:
            worker: Worker | None = None
            for added in submission:
                self.added += added
                if worker is None and added.unfinished:
                    worker = stack.enter_context(self.start_worker())
                    self.tally = worker.feeder.tally
                if worker:
                    self._turn(worker)
                if self.stop.times:
                    break
            if worker:
                self._finish(worker)
                self.figures = worker.engine.figures
        self.store.settle()
        return self._count()

    def _finish(self, worker: Worker) -> None:
        while not self.stop.times and not self._complete(worker):
            self.stop.wait(self._count_every)
        if self.stop.times:
            self._wind_up(worker)

    def _turn(self, worker: Worker) -> bool:
        """Keep tickets coming, pass on what ended the worker, say how things stand. Whether it is busy."""
        if worker.ended.done():
            worker.ended.result()
        feeder = worker.feeder
        queue = LocalQueue(lambda ids: self._take(worker, ids), lambda: feeder.standing)
        window = max(1, worker.places.tickets // TICKET)
        sent = top_up(self.store, queue, self.model, window=window, batch=self.batch)
        if time.monotonic() - self._counted > self._count_every:
            self._count()
        return bool(sent or feeder.standing or feeder.holding)

    def _take(self, worker: Worker, ids: Sequence[int]) -> None:
        worker.feeder.take(ids).add_done_callback(lambda _: self.stop.wake())

    def _complete(self, worker: Worker) -> bool:
        return not self._turn(worker) and self._count().unfinished == 0

    def _count(self) -> Counts:
        begun = time.monotonic()
        counts = self.store.views.progress(self.batch)
        self._counted = time.monotonic()
        self._count_every = max(LOOK_EVERY_S, (self._counted - begun) / COUNTING_SHARE)
        self.tell(counts)
        return counts

    def _wind_up(self, worker: Worker) -> None:
        """Let the engine finish what it has begun; asked again, end at once."""
        worker.feeder.stop(GRACE_S)
        while not worker.ended.done() and self.stop.times < 2:
            self._count()
            self.stop.wait(LOOK_EVERY_S)
