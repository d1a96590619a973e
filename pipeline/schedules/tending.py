"""Tending: what any program that stays does for schedules: it begins what is due, each in a process of its own."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pipeline.display import things
from pipeline.errors import CommandUnfit, ScheduleUnread
from pipeline.notify.sending import Sender
from pipeline.repeating import repeat
from pipeline.schedules.order import Order
from pipeline.schedules.sight import Sight
from pipeline.settings import Settings
from pipeline.signals import heeding
from pipeline.store import Store
from pipeline.store.firings import Waiting

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
LONGEST_END_S = 5.0
UNSEEN_S = 60.0
"""how long programs that see the files are given before a firing fails because nobody does"""


class Tender:
    """Looks after the schedules of a store. Any number of them may, on any number of machines."""

    def __init__(self, settings: Settings, store: Store, *, now: Callable[[], float] = time.monotonic) -> None:
        self._firings, self._sight, self._now = store.firings, Sight(settings), now
        self._processes: list[subprocess.Popen[bytes]] = []
        self._left: dict[int, float] = {}
        """firings that were left to others, since when"""
        self._unread: set[str] = set()

    def look(self) -> int:
        """Begin what is due and seen from here. Returns how many were begun."""
        self._processes = [process for process in self._processes if process.poll() is None]
        self._complain(self._firings.fire())
        waiting = self._firings.waiting()
        self._left = {firing.id: self._left[firing.id] for firing in waiting if firing.id in self._left}
        return sum(map(self._begin, waiting))

    def wait(self, tell: Callable[[str], None]) -> None:
        """Wait until the commands that were begun here have ended."""
        if running := [process for process in self._processes if process.poll() is None]:
            tell(f"Waiting for {things(len(running), 'command')} to end.")
        for process in running:
            process.wait()

    def _complain(self, unread: Sequence[ScheduleUnread]) -> None:
        """Say once of each schedule why it is left to others."""
        said, self._unread = self._unread, set(map(str, unread))
        for reason in sorted(self._unread - said):
            log.warning("action=schedule_left reason=%s", reason)

    def _begin(self, firing: Waiting) -> bool:
        if (why := self._hindrance(firing)) is not None:
            self._leave(firing, why)
            return False
        if not self._firings.take(firing.id):
            return False
        log.info("action=fired schedule=%s firing=%d", firing.schedule, firing.id)
        command = [sys.executable, "-P", "-m", "pipeline.schedules", str(firing.id)]
        # Standard output is this program's, which may be data: what the command says is kept with the firing.
        # A session of its own: the signal that ends this program lets what it began finish.
        nowhere = subprocess.DEVNULL
        self._processes.append(subprocess.Popen(command, stdin=nowhere, stdout=nowhere, start_new_session=True))
        return True

    def _hindrance(self, firing: Waiting) -> str | None:
        """Why the firing cannot be begun from here."""
        try:
            lacking = self._sight.lacks(firing.id, Order.from_stored(firing.spec))
        except CommandUnfit as error:
            return str(error)
        return None if lacking is None else f"{lacking} is not there on any machine that looked."

    def _leave(self, firing: Waiting, why: str) -> None:
        """Others may begin it; when they had their time it fails.

        That is counted from here: a program that has only just started, or a firing that waited for the one before it,
        leaves those who see more the same time.
        """
        since = self._left.setdefault(firing.id, self._now())
        if self._now() - since >= UNSEEN_S and self._firings.give_up(firing.id, why):
            log.warning("action=fired schedule=%s outcome=failed reason=%s", firing.schedule, why)


@contextmanager
def tending(settings: Settings, store: Store, *more: Callable[[], object]) -> Iterator[Tender]:
    """Look after schedules, and after those who are told of batches, in threads of their own meanwhile.

    `more`: what else needs looking after because this program does nothing else.
    """
    stopped, tender = threading.Event(), Tender(settings, store)
    looks = (tender.look, Sender(settings, store).look, *more)
    threads = [threading.Thread(target=repeat, args=[look, stopped, LOOK_EVERY_S], daemon=True) for look in looks]
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
def until_told(stopped: threading.Event) -> Iterator[list[int]]:
    """The first Ctrl-C or SIGTERM stops it, a second one does not wait. Gives the signals that came."""
    came: list[int] = []

    def heard(number: int, frame: object) -> None:
        came.append(number)
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()

    with heeding(heard):
        yield came
