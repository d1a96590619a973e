"""Serving: a Celery worker in this process, whose tickets a `Worker` with its engine answers."""

from __future__ import annotations

import itertools
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from celery import Celery
from celery.platforms import EX_FAILURE
from celery.worker import WorkController, state
from celery.worker.consumer import Consumer
from kombu.connection import Connection

from pipeline import broker
from pipeline.errors import PixmillError, SetupError
from pipeline.jobs import Lane
from pipeline.models import Model
from pipeline.queue import TICKET, WINDOW, Queue, top_up
from pipeline.schedules.tending import tending
from pipeline.settings import Settings
from pipeline.store import Store
from workers import door
from workers.feeder import Feeder
from workers.worker import Worker, WorkerConfig

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
"""How often to look for jobs without a ticket: given back, due again, submitted while Redis was away."""
AGAIN_EVERY_S = 2.0
"""How often tickets are sent again, while the queues are empty and ticketed jobs wait."""
RECONNECT_S = 1.0


def serve(
    settings: Settings,
    store: Store,
    model: Model,
    config: WorkerConfig,
    *,
    grace_s: float,
    lanes: Sequence[Lane] = tuple(Lane),
) -> None:
    """Answer the model's tickets until a signal ends it: once to finish what runs, twice to drop it.

    The engine starts first: one that cannot be started is this program's error.
    """
    with Worker(store, model, config) as worker:
        door.guard()
        celery = broker.app(settings)
        names = [broker.queue_name(model.alias, lane) for lane in lanes]
        celery.conf.task_queues = broker.declared(names)
        service = Service(store, broker.CeleryQueue(celery, model.alias), model.alias, worker, grace_s)
        celery.task(service.answer, name=broker.TASK)
        service.heed_signals()
        if service.wait_for_engine():
            log.info("action=ready model=%s device=%s lanes=%s", model.alias, config.engine.device, ",".join(lanes))
            with tending(settings, store):
                service.work(celery, names)
        worker.ended.result()
        log.info("action=stopped")


class Service:
    """What a worker does besides feeding its engine: it takes tickets, and sees to it that some stand."""

    def __init__(self, store: Store, queue: Queue, model: str, worker: Worker, grace_s: float) -> None:
        self._store, self._queue, self._model = store, queue, model
        self._worker, self._grace_s = worker, grace_s
        self._filling = threading.Lock()
        self._sent_again = 0.0
        self._complaint: str | None = None
        self._stops = 0
        worker.ended.add_done_callback(lambda _: self._end_celery())
        worker.drain_asked.add_done_callback(lambda _: self._end_celery())

    @property
    def _feeder(self) -> Feeder:
        return self._worker.feeder

    # --- tickets, in Celery's threads ------------------------------------------------------------

    def answer(self, ids: Sequence[int]) -> None:
        """Work on a ticket's jobs until all of them have ended here. What it leaves in the queue is made up for."""
        ended = self._feeder.take(ids)
        self._top_up()
        ended.result()

    def _top_up(self, *, again: bool = False) -> None:
        """Send what is missing. What keeps us from it is logged: the next look comes soon."""
        if not self._filling.acquire(blocking=False):
            return
        try:
            top_up(self._store, self._queue, self._model, window=WINDOW, again=again)
        except Exception as error:  # noqa: BLE001  kombu has surprises; a thread that ended over one would send no more
            self._complain(error)
        else:
            self._complain(None)
        finally:
            self._filling.release()

    def _complain(self, hindrance: Exception | None) -> None:
        """Say what hinders sending when that begins, and when it has ended."""
        why = None if hindrance is None else str(hindrance) or repr(hindrance)
        if why == self._complaint:
            return
        self._complaint = why
        if why is None:
            log.warning("action=tickets_go_out")
        else:
            log.warning("action=tickets_held reason=%s", why, exc_info=not isinstance(hindrance, PixmillError))

    # --- from time to time, in a thread of its own -----------------------------------------------

    def _tend(self) -> None:
        while not self._stops and not self._worker.ended.done():
            now = time.monotonic()
            again = now - self._sent_again >= AGAIN_EVERY_S
            self._sent_again = now if again else self._sent_again
            self._top_up(again=again)
            time.sleep(LOOK_EVERY_S)

    # --- start and end, in the main thread -------------------------------------------------------

    def wait_for_engine(self) -> bool:
        """Whether the engine is ready; not when it was told to stop first. Raises what kept it from starting."""
        while not self._stops and self._worker.engine.runtime is None:
            if self._worker.ended.done():
                self._worker.ended.result()
            time.sleep(0.05)
        return not self._stops

    def work(self, celery: Celery, queues: Sequence[str]) -> None:
        """Run Celery's worker until it is told to stop, then wait until what runs has ended."""
        threading.Thread(target=self._tend, name="tickets", daemon=True).start()
        controller = Controller(
            app=celery,
            hostname=f"pixmill@{socket.gethostname()}-{os.getpid()}",
            queues=queues,
            pool="threads",
            # A ticket waits for its slowest answer: so many keep the engine full.
            concurrency=-(-self._worker.places.tickets // TICKET),
            consumer_cls=Quick,
            without_mingle=True,
            without_gossip=True,
            wind_up=self.wind_up,
        )
        controller.start()
        if controller.exitcode == EX_FAILURE:
            raise SetupError(detail="Celery's worker ended with an error of its own, which the log names.")

    def wind_up(self) -> None:
        """Take no more tickets; what the engine has begun is finished within the grace."""
        if not self._stops:
            self._stops = 1
            self._feeder.stop(self._grace_s)
        log.info("action=stopping held=%d grace=%g", self._feeder.holding, self._grace_s)

    def heed_signals(self) -> None:
        """SIGTERM and Ctrl-C stop in order; a second one does not wait. So it stays until the program has ended."""

        def heard(number: int, frame: object) -> None:
            # Nothing is logged here: what was interrupted may be writing a log's line.
            self._stops += 1
            self._feeder.stop(self._grace_s if self._stops == 1 else 0)
            state.should_stop = os.EX_OK

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, heard)

    def _end_celery(self) -> None:
        """The feeder has ended, which its Celery worker must not outlive."""
        state.should_stop = os.EX_OK


class Controller(WorkController):  # type: ignore[misc]
    """Celery's worker as part of a program: it handles no signals, prints nothing, and says when it stops."""

    def __init__(self, *, wind_up: Callable[[], None], **options: Any) -> None:
        self._wind_up = wind_up
        super().__init__(**options)

    def stop(self, in_sighandler: bool = False, exitcode: int | None = None) -> None:
        # Also for `celery control shutdown`: the pool waits for its tickets, and they for the feeder.
        self._wind_up()
        super().stop(in_sighandler, exitcode)


class Quick(Consumer):  # type: ignore[misc]
    """Looks for a Redis that went away once a second; Celery's own pauses grow to half a minute."""

    def on_connection_error_after_connected(self, error: Exception) -> None:
        # Celery 5.7 closes what is lost twice. A channel that still waits for a ticket fails to close the first
        # time, and the second time gives tickets back through a connection that has forgotten its address: the
        # AttributeError would end the worker. Once closed here, the channel does not wait any more.
        if channel := self.connection._default_channel:
            self.connection.maybe_close_channel(channel)
        super().on_connection_error_after_connected(error)

    def ensure_connected(self, conn: Connection) -> Connection:
        tries = itertools.count()

        def away(error: Exception, pause: float) -> None:
            if next(tries) == 0:
                log.warning("action=broker_away broker=%s reason=%s", conn.as_uri(), " ".join(str(error).split()))

        conn.ensure_connection(  # type: ignore[no-untyped-call]
            away,
            None,
            interval_start=RECONNECT_S,
            interval_step=0,
            interval_max=RECONNECT_S,
            callback=state.maybe_shutdown,
        )
        if count := next(tries):
            log.warning("action=broker_back tries=%d", count)
        self.first_connection_attempt = False
        return conn
