"""Patience: a call of the store that fails because the database is away or busy is made again until it works."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from pipeline.errors import DatabaseBusy, DatabaseUnreachable

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 1.0

P = ParamSpec("P")
T = TypeVar("T")


class Patience:
    """Makes calls, again and again if need be, until `giving_up` says that there is no time left.

    A worker so outlives a restart of its database with all it holds: the engine goes on meanwhile, and
    tokens fence what is written afterwards. Calls may therefore be made twice, which the store bears:
    what was done the first time is not done again. Only a claim's outcome is lost with its answer.
    """

    def __init__(
        self,
        giving_up: Callable[[], bool],
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
                if self._giving_up():
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
