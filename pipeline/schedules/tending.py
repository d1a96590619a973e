"""Tending: what any program that stays does for schedules: it begins what is due, each in a process of its own."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.errors import PixmillError
from pipeline.notify.sending import Sender
from pipeline.schedules.order import Order
from pipeline.settings import Settings
from pipeline.signals import heeding
from pipeline.store import Store
from pipeline.store.schedules import Waiting

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
LONGEST_END_S = 5.0


class Tender:
    """Looks after the schedules of a store. Any number of them may, on any number of machines."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store, self._schedules = settings, store, store.schedules
        self._processes: list[subprocess.Popen[bytes]] = []

    def look(self) -> int:
        """Begin what is due and seen from here. Returns how many were begun."""
        self._store.settle()
        self._processes = [process for process in self._processes if process.poll() is None]
        self._schedules.fire()
        return sum(map(self._begin, self._schedules.waiting()))

    def wait(self, tell: Callable[[str], None]) -> None:
        """Wait until the commands that were begun here have ended."""
        if running := [process for process in self._processes if process.poll() is None]:
            tell(f"Waiting for {len(running)} command{'' if len(running) == 1 else 's'} to end.")
        for process in running:
            process.wait()

    def _begin(self, firing: Waiting) -> bool:
        unseen = Order.from_stored(firing.spec).unseen(self._settings)
        if unseen is not None:
            why = f"{unseen} is not there on any machine that looked."
            if self._schedules.unseen(firing.id, why):
                log.warning("action=fired schedule=%s outcome=failed reason=%s", firing.schedule, why)
            return False
        if not self._schedules.take(firing.id):
            return False
        log.info("action=fired schedule=%s firing=%d", firing.schedule, firing.id)
        command = [sys.executable, "-P", "-m", "pipeline.schedules", str(firing.id)]
        # Standard output is this program's, which may be data: what the command says is kept with the firing.
        # A session of its own: the signal that ends this program lets what it began finish.
        nowhere = subprocess.DEVNULL
        self._processes.append(subprocess.Popen(command, stdin=nowhere, stdout=nowhere, start_new_session=True))
        return True


def look_again(look: Callable[[], object], stopped: threading.Event) -> None:
    """Look every second until it is stopped. What hinders it is logged when that begins: the next look comes soon."""
    hindered = None
    while not stopped.wait(LOOK_EVERY_S):
        try:
            look()
        except PixmillError as error:
            if str(error) != hindered:
                log.warning("action=tending_held reason=%s", error)
            hindered = str(error)
        else:
            hindered = None


@contextmanager
def tending(settings: Settings, store: Store) -> Iterator[Tender]:
    """Look after schedules, and after those who are told of batches, in threads of their own meanwhile."""
    stopped, tender = threading.Event(), Tender(settings, store)
    looks = (tender.look, Sender(settings, store).look)
    threads = [threading.Thread(target=look_again, args=[look, stopped], daemon=True) for look in looks]
    for thread in threads:
        thread.start()
    try:
        yield tender
    finally:
        stopped.set()
        for thread in threads:
            # A notice may be under way for minutes: it is sent again where its end is not seen.
            thread.join(LONGEST_END_S)


@contextmanager
def until_told(stopped: threading.Event) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM stops it, a second one does not wait."""

    def heard(number: int, frame: object) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()

    with heeding(heard):
        yield
