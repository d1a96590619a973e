"""Answering a batch here and now: the embedded form of submitting to workers."""

from __future__ import annotations

import os
import select
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TypeVar

from pipeline.jobs import BatchState
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

GIVEN_UP = (BatchState.CANCELLED, BatchState.EXPIRED)
"""where a batch stands that is not worked on any more, whatever is left of it"""

T = TypeVar("T")


class Stopped(Exception):
    """A person asked to stop while the next item was waited for."""


@dataclass
class Stop:
    """A person's wish to stop, which may come at any moment: once to finish what runs, twice to drop it."""

    times: int = 0
    _getting: bool = False
    # A signal's handler must not wait for a lock that the interrupted code may hold, as an Event's.
    _bell: int = field(default_factory=lambda: os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))

    def __post_init__(self) -> None:
        weakref.finalize(self, os.close, self._bell)

    def ask(self) -> None:
        self.times += 1
        self.wake()

    def interrupt(self) -> None:
        """Ask from a signal's handler, which can end the wait for the next item too."""
        self.ask()
        if self._getting:
            raise Stopped

    def heed(self) -> None:
        """Raise `Stopped` if somebody has asked to stop."""
        if self.times:
            raise Stopped

    def wake(self) -> None:
        """Something happened: look again."""
        os.eventfd_write(self._bell, 1)

    def wait(self, seconds: float) -> None:
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        if poll.poll(seconds * 1000):
            os.eventfd_read(self._bell)

    def watch(self, items: Iterable[T]) -> Iterator[T]:
        """The items, whose source may be slow (a large folder) or silent (standard input): `Stopped` ends that."""
        source = iter(items)
        while True:
            self._getting = True
            try:
                self.heed()
                item = next(source)
            except StopIteration:
                return
            finally:
                self._getting = False
            yield item


@dataclass(kw_only=True)
class LocalRun:
    """One batch, answered by a worker of this process, which is started when there is something to do."""

    store: Store
    start_worker: Callable[[], Worker]
    batch: int
    model: str
    stop: Stop
    tell: Callable[[Counts], None]
    note: Callable[[str], None] = lambda text: None
    follow: Callable[[int | None], None] = lambda end: None
    """is called often, for whoever writes down what has ended; rows from there on are still to be submitted"""
    submitting: bool = True
    """whether there may be more items than were seen yet"""
    added: Added = field(default_factory=Added)
    tally: Counter[str] = field(default_factory=Counter)
    figures: Figures = field(default_factory=Figures)
    state: BatchState = BatchState.VALIDATING
    """where the batch stood when it was looked at last"""
    _counts: Counts = field(default_factory=Counts)
    _counted: float = 0.0
    _count_every: float = LOOK_EVERY_S
    _unsure: bool = True
    """whether anything happened since the items were counted last"""

    def work(self, submission: Iterator[Added]) -> Counts:
        """Submit and answer until each item has ended, or until asked to stop."""
        with ExitStack() as stack:
            worker: Worker | None = None
            with suppress(Stopped):
                for added in submission:
                    self.added += added
                    if worker is None and added.unfinished:
                        worker = stack.enter_context(self.start_worker())
                        worker.ended.add_done_callback(lambda _: self.stop.wake())
                        worker.drain_asked.add_done_callback(lambda _: self.stop.ask())
                        self.tally = worker.feeder.tally
                    self._follow()
                    if worker:
                        self._turn(worker)
                    if self.stop.times or self.state in GIVEN_UP:
                        break
                else:
                    self.submitting = False
            if worker:
                self._finish(worker)
                self.figures = worker.engine.figures
        self.store.settle()
        return self._count()

    def _finish(self, worker: Worker) -> None:
        while not self.stop.times and not self._complete(worker):
            self._follow()
            self.stop.wait(LOOK_EVERY_S)
        if self.stop.times:
            self._wind_up(worker)

    def _follow(self) -> None:
        # Of an input with one question a row, as batch files have, so many rows are there as items were added.
        self.follow(self.added.total if self.submitting else None)

    def _turn(self, worker: Worker) -> bool:
        """Keep tickets coming, pass on what ended the worker, say how things stand. Whether it is busy."""
        if worker.ended.done():
            worker.ended.result()
        feeder = worker.feeder
        queue = LocalQueue(lambda ids: self._take(worker, ids), lambda: feeder.standing)
        window = max(1, worker.places.tickets // TICKET)
        sent = top_up(self.store, queue, self.model, window=window, batch=self.batch)
        if self._count_is_due:
            self._count()
        return bool(sent or feeder.standing or feeder.holding)

    def _take(self, worker: Worker, ids: Sequence[int]) -> None:
        worker.feeder.take(ids).add_done_callback(lambda _: self.stop.wake())

    def _complete(self, worker: Worker) -> bool:
        if self._turn(worker):
            self._unsure = True
            return False
        if self._unsure:
            self._unsure = False
            self._count()
        return self._counts.unfinished == 0

    @property
    def _count_is_due(self) -> bool:
        return time.monotonic() - self._counted > self._count_every

    def _count(self) -> Counts:
        begun = time.monotonic()
        counts = self._counts = self.store.views.progress(self.batch)
        self._see(self.store.views.batch_state(self.batch))
        self._counted = time.monotonic()
        self._count_every = max(LOOK_EVERY_S, (self._counted - begun) / COUNTING_SHARE)
        self.tell(counts)
        return counts

    def _see(self, state: BatchState) -> None:
        if state is not self.state and state is BatchState.PAUSED:
            self.note("The batch is paused: this waits until somebody lets it go on with `pixmill batch resume`.")
        self.state = state

    def _wind_up(self, worker: Worker) -> None:
        """Let the engine finish what it has begun; asked again, end at once."""
        self.note("Stopping: what the engine has begun is finished first. Ctrl-C again stops at once.")
        worker.feeder.stop(GRACE_S)
        while not worker.ended.done() and self.stop.times < 2:
            if self._count_is_due:
                self._count()
            self._follow()
            self.stop.wait(LOOK_EVERY_S)
        if worker.ended.done():
            worker.ended.result()
