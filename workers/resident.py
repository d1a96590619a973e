"""A resident worker: what a program keeps that goes on asking. It starts with the first question and stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from pipeline.queue import TICKET, LocalQueue, top_up
from pipeline.store import Store
from workers.local import GRACE_S, LOOK_EVERY_S, Stop, Stopped
from workers.worker import Worker


@dataclass(kw_only=True)
class Resident:
    """A worker of this process, started when there is something to do."""

    store: Store
    model: str
    start_worker: Callable[[], Worker]
    stop: Stop
    tell: Callable[..., None]
    _stack: ExitStack = field(default_factory=ExitStack)
    _worker: Worker | None = None

    def turn(self) -> None:
        """Keep tickets coming, and pass on what ended the worker."""
        try:
            worker = self._worker or self._start()
        except Stopped:
            return
        if worker.ended.done():
            self._worker = None
            self._stack.close()
            worker.ended.result()
            return
        feeder = worker.feeder
        queue = LocalQueue(lambda ids: self._take(worker, ids), lambda: feeder.standing)
        top_up(self.store, queue, self.model, window=max(1, worker.places.tickets // TICKET))

    def wind_up(self) -> None:
        """Let the engine finish what it has begun; asked to stop once more, end at once."""
        worker = self._worker
        if worker and not worker.ended.done() and self.stop.times:
            self.tell("stopping", "Stopping: what the engine has begun is finished first. Once more stops at once.")
            worker.feeder.stop(GRACE_S)
            while not worker.ended.done() and self.stop.times < 2:
                self.stop.wait(LOOK_EVERY_S)
        self._stack.close()

    def _start(self) -> Worker:
        worker = self._stack.enter_context(self.start_worker())
        worker.ended.add_done_callback(lambda _: self.stop.wake())
        worker.drain_asked.add_done_callback(lambda _: self.stop.ask())
        self._worker = worker
        return worker

    def _take(self, worker: Worker, ids: Sequence[int]) -> None:
        worker.feeder.take(ids).add_done_callback(lambda _: self.stop.wake())
