"""A call in a thread of its own, whose end can be waited for together with a wire."""

from __future__ import annotations

import os
import select
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import Generic, TypeVar

from workers.wire import Wire

T = TypeVar("T")


class Aside(Generic[T]):
    """Runs a call that lets go of the GIL, while the caller stays with its wire."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._ended: Future[T] = Future()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        weakref.finalize(self, os.close, self._bell)
        # A daemon: when the parent is gone, the process ends in the middle of it.
        Thread(target=self._run, args=(call,), name="aside", daemon=True).start()

    def ended(self, wire: Wire, seconds: float) -> bool:
        """Whether it has. Waits for that, for something on the wire, or until the time is over."""
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        poll.register(wire, select.POLLIN | (select.POLLOUT if wire.unsent else 0))
        poll.poll(seconds * 1000)
        return self._ended.done()

    def result(self) -> T:
        return self._ended.result()

    def _run(self, call: Callable[[], T]) -> None:
        try:
            self._ended.set_result(call())
        except BaseException as error:  # noqa: BLE001 - handed on to the one who waits
            self._ended.set_exception(error)
        os.eventfd_write(self._bell, 1)
