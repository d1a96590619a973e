"""The tray: tickets in hand. Any thread puts them in, the feeder takes their jobs out."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock


@dataclass(eq=False, slots=True)
class Ticket:
    """Some job ids that came together, and the promise to say when all of them have ended here."""

    left: int
    ended: Future[None] = field(default_factory=Future)

    def tear(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.ended.set_result(None)


class Tray:
    """Jobs that wait to be claimed, each with the ticket it came with."""

    def __init__(self) -> None:
        self._jobs: deque[tuple[int, Ticket]] = deque()
        self._closed = False
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._jobs)

    def put(self, ids: Sequence[int]) -> Future[None]:
        """The future ends when all of these jobs have; at once, when the tray is closed."""
        ticket = Ticket(len(ids))
        with self._lock:
            if ids and not self._closed:
                self._jobs.extend((id, ticket) for id in ids)
                return ticket.ended
        ticket.ended.set_result(None)
        return ticket.ended

    def take(self, count: int) -> list[tuple[int, Ticket]]:
        """So many jobs, and the rest of the last one's ticket: it has all the questions about a picture."""
        taken: list[tuple[int, Ticket]] = []
        with self._lock:
            while self._jobs and (len(taken) < count or (taken and self._jobs[0][1] is taken[-1][1])):
                taken.append(self._jobs.popleft())
        return taken

    def clear(self) -> None:
        """Nothing comes of what waits: its tickets end."""
        for _, ticket in self.take(len(self)):
            ticket.tear()

    def close(self) -> None:
        """Nothing comes of what waits, nor of what is still put in."""
        with self._lock:
            self._closed = True
        self.clear()
