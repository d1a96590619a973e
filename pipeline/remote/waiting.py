"""How long somebody waits for a picture: until a deadline, or until told to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from pipeline.errors import FetchFailed

STEP_S = 0.25
"""How soon a wait notices that it is to stop."""


class Stopped(Exception):
    """Nobody wants the picture any more."""


class Waiting:
    """The time that one picture may take, all tries together."""

    def __init__(
        self, seconds: float, stop: threading.Event | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds, self._stop, self._now = seconds, stop or threading.Event(), now
        self._until = now() + seconds

    def left(self) -> float:
        """Seconds that are left. Raises FetchFailed when there are none, Stopped when told to."""
        if self._stop.is_set():
            raise Stopped
        if (left := self._until - self._now()) <= 0:
            raise FetchFailed(why=f"it took longer than {self._seconds:g} s")
        return left

    def allows(self, seconds: float) -> bool:
        return seconds < self.left()

    def pause(self, seconds: float) -> None:
        """Sleep so long; the stop ends it."""
        self._stop.wait(min(seconds, self.left()))
        self.left()
