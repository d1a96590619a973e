"""Sending: what a watcher asks goes to workers elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.errors import BrokerUnreachable
from pipeline.queue import WINDOW, Queue, top_up
from pipeline.store import Store

EVERY_S = 2.0


@dataclass(kw_only=True)
class Sending:
    """Keeps tickets standing. A broker that is away costs nothing but time."""

    store: Store
    queue: Queue
    model: str
    clock: Callable[[], float]
    tell: Callable[..., None]
    _next: float = 0.0
    _away: bool = field(default=False)

    def turn(self) -> None:
        now = self.clock()
        if now < self._next:
            return
        self._next = now + EVERY_S
        try:
            sent = top_up(self.store, self.queue, self.model, window=WINDOW)
        except BrokerUnreachable as error:
            if not self._away:
                self.tell("broker_away", f"{error} What is asked is stored meanwhile.")
            self._away = True
        else:
            self._away = False
            if sent:
                self._next = now
