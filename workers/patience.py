"""Patience: a call of the store that fails because the database is away or busy is made again until it works."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from pipeline.errors import DatabaseBusy, DatabaseRefused, DatabaseUnreachable

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 1.0
START_S = 60.0
"""How long a starting worker waits for its database: after a power cut both start at the same time."""

Error = DatabaseUnreachable | DatabaseBusy

P = ParamSpec("P")
T = TypeVar("T")


class Patience:
    """Makes calls, again and again if need be, until `giving_up` says of an error that it is final.

    A worker so outlives a restart of its database with all it holds: the engine goes on meanwhile, and
    tokens fence what is written afterwards. Calls may therefore be made twice, which the store bears:
    what was done the first time is not done again. Only a claim's outcome is lost with its answer.
    """

    def __init__(
        self,
        giving_up: Callable[[Error], bool],
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._giving_up, self._now, self._sleep = giving_up, now, sleep
        self.lapses = 0
        """calls whose outcome never came"""
        self.recovered = -math.inf
        """when a call worked again that had failed"""

    def __call__(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        pause, failed = FIRST_PAUSE_S, 0
        while True:
            try:
                outcome = call(*args, **kwargs)
            except (DatabaseUnreachable, DatabaseBusy) as error:
                if self._giving_up(error):
                    raise
                if not failed:
                    log.warning("action=database_away reason=%s", error)
                failed += 1
                self.lapses += 1
                self._sleep(pause)
                pause = min(LONGEST_PAUSE_S, pause * 2)
            else:
                if failed:
                    self.recovered = self._now()
                    log.warning("action=database_back tries=%d", failed)
                return outcome


def while_starting(now: Callable[[], float] = time.monotonic) -> Patience:
    """For what a worker does before it works. Who is not let in need not wait: that is a mistake in the settings."""
    until = now() + START_S
    return Patience(lambda error: isinstance(error, DatabaseRefused) or now() >= until, now)
