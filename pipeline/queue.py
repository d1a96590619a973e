"""A queue carries tickets: ids of a few queued jobs of one model. The jobs themselves stay in the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from pipeline.store import Store

TICKET = 16
"""Jobs a ticket names at most: one message for each job would cost more than many answers do."""


class Queue(Protocol):
    """What the embedded queue and Celery's have in common."""

    def send(self, ids: Sequence[int]) -> None:
        """Send one ticket."""

    def standing(self) -> int:
        """How many tickets wait for a worker."""


class LocalQueue:
    """The queue of a program that is its own worker: a ticket goes straight to the feeder."""

    def __init__(self, take: Callable[[Sequence[int]], object], standing_jobs: Callable[[], int]) -> None:
        self._take, self._standing_jobs = take, standing_jobs

    def send(self, ids: Sequence[int]) -> None:
        self._take(ids)

    def standing(self) -> int:
        return -(-self._standing_jobs() // TICKET)


def top_up(store: Store, queue: Queue, model: str, *, window: int, batch: int | None = None) -> int:
    """Send tickets until `window` of them stand, and say how many were sent.

    When none stands although ticketed jobs are still queued, their tickets were lost or are another's
    that has not claimed them: they are sent again. A ticket too many claims nothing.
    """
    standing = queue.standing()
    missing = window - standing
    if missing <= 0:
        return 0
    tickets = store.tickets(model, size=TICKET, count=missing, batch=batch)
    if not tickets and not standing:
        tickets = store.tickets(model, size=TICKET, count=missing, batch=batch, again=True)
    for ids in tickets:
        queue.send(ids)
    return len(tickets)
