"""A queue carries tickets: ids of a few queued jobs of one model. The jobs themselves stay in the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from pipeline.jobs import Lane
from pipeline.store import Store
from pipeline.store.values import Ticket

TICKET = 16
"""Jobs a ticket names at most: one message for each job would cost more than many answers do."""

WINDOW = 16
"""Tickets that stand in each of a broker's lanes at most. A worker sends one for each it ends, so these few
keep many workers busy; and what is submitted later waits behind no more than these."""


class Queue(Protocol):
    """What the embedded queue and Celery's have in common."""

    def send(self, ticket: Ticket) -> None:
        """Send one ticket."""

    def standing(self) -> Mapping[Lane, int]:
        """How many tickets wait for a worker, in each lane."""


class LocalQueue:
    """The queue of a program that is its own worker: a ticket goes straight to the feeder, whatever its lane."""

    def __init__(self, take: Callable[[Sequence[int]], object], standing_jobs: Callable[[], int]) -> None:
        self._take, self._standing_jobs = take, standing_jobs

    def send(self, ticket: Ticket) -> None:
        self._take(ticket.ids)

    def standing(self) -> Mapping[Lane, int]:
        return dict.fromkeys(Lane, -(-self._standing_jobs() // TICKET))


def top_up(store: Store, queue: Queue, model: str, *, window: int, batch: int | None = None, again: bool = True) -> int:
    """Send tickets until `window` of them stand in each lane, and say how many were sent.

    A lane that is still more than half full is left alone: fewer, larger transactions. When no ticket
    stands although ticketed jobs are still queued, their tickets were lost or are another's that has
    not claimed them: they are sent again, unless `again` says otherwise. A ticket too many claims nothing.
    """
    standing = queue.standing()
    room = {lane: window - count for lane, count in standing.items() if count <= window // 2}
    if not room:
        return 0
    tickets = store.tickets(model, size=TICKET, count=room, batch=batch)
    if again and not tickets and not any(standing.values()):
        tickets = store.tickets(model, size=TICKET, count=room, batch=batch, again=True)
    for ticket in tickets:
        queue.send(ticket)
    return len(tickets)
