"""Fetching: a few threads that bring pictures from elsewhere into the cache, where decoders find them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue

from pipeline.errors import JobError
from pipeline.remote.cache import Kept
from pipeline.remote.fetcher import Fetcher, FetchLimits
from workers.child import Refused

THREADS = 16
"""So many pictures are fetched at once: at 0.2 s each, 80 a second."""
CLOSE_S = 2.0
"""How long ending waits for the threads. One that still resolves a name or connects then ends with the program."""


class Fetching:
    """Fetches what is asked for, in order, so many at once. Threads are started when there is something to fetch."""

    def __init__(
        self, limits: FetchLimits, *, threads: int = THREADS, make: Callable[[FetchLimits], Fetcher] = Fetcher.of
    ) -> None:
        self._limits, self._make, self._most = limits, make, threads
        self._fetcher: Fetcher | None = None
        self._orders: SimpleQueue[tuple[str, Future[Kept]] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def bring(self, address: str) -> Future[Kept]:
        """The picture of an address, once it is in the cache; whoever takes it closes it. Refused tells why not."""
        future: Future[Kept] = Future()
        if self._fetcher is None:
            self._fetcher = self._make(self._limits)
        self._orders.put((address, future))
        if len(self._threads) < self._most:
            # Daemons: neither a name server nor a silent host may keep the program from ending.
            thread = threading.Thread(target=self._work, args=(self._fetcher,), name="fetching", daemon=True)
            self._threads.append(thread)
            thread.start()
        return future

    def close(self) -> None:
        """End what is being fetched. What came of it in part is removed."""
        if self._fetcher is None:
            return
        self._fetcher.stop()
        for _ in self._threads:
            self._orders.put(None)
        until = time.monotonic() + CLOSE_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._fetcher.close()

    def _work(self, fetcher: Fetcher) -> None:
        while order := self._orders.get():
            address, future = order
            if future.set_running_or_notify_cancel():
                _fetch(fetcher, address, future)


def _fetch(fetcher: Fetcher, address: str, future: Future[Kept]) -> None:
    try:
        kept = fetcher.fetch(address)
    except JobError as error:
        future.set_exception(Refused(error.code, str(error)))
    except Exception as error:  # noqa: BLE001  raised where the future is looked at
        future.set_exception(error)
    else:
        future.set_result(kept)
