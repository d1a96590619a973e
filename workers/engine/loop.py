"""The loop of the engine process: hear, admit, step, tell."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from pipeline.errors import JobError
from workers.engine.core import Core, Ending, refusal
from workers.engine.requests import Completion, Refusal, Request
from workers.process import peak_memory
from workers.wire import Message, Wire

# Admitting runs the vision encoder while every running answer waits: unbounded, they stood still for 9.5 s
# on a 0.7 B model. One picture is always admitted, since nothing can be faster than that.
ADMISSION_S = 0.1
PROGRESS_S = 1.0


class Loop:
    """Serves one core over one wire, in one thread: a reader thread would only wait for the GIL.

    Ends with `Closed` when the parent is gone, which is looked at between admissions too.
    """

    def __init__(self, wire: Wire, core: Core, *, now: Callable[[], float] = time.monotonic) -> None:
        self._wire, self._core, self._now = wire, core, now
        self._waiting: deque[Request] = deque()
        self._refused: list[Ending] = []
        self._steps = self._running_sum = 0
        self._told = now()

    def run(self) -> None:
        while True:
            self.turn()

    def turn(self) -> None:
        """Wait for something to do, and do one round of it."""
        self._rest()
        self._listen()
        self._admit()
        self._step()

    def hear(self, messages: Sequence[Message]) -> None:
        for kind, body in messages:
            match kind:
                case "ask":
                    self._waiting.extend(Request.of_wire(item) for item in body)
                case "cancel":
                    self._cancel(frozenset(body))
                case "drain":
                    self._give_back()

    @property
    def _idle(self) -> bool:
        return not self._waiting and not self._core.running

    def _rest(self) -> None:
        if self._idle:
            self._wire.rest()

    def _listen(self) -> None:
        self._wire.flush()
        self.hear(self._wire.receive())

    def _admit(self) -> None:
        until = self._now() + ADMISSION_S
        while self._waiting and not self._core.full:
            self._begin(self._waiting.popleft())
            if self._now() >= until:
                break
            self._listen()

    def _begin(self, request: Request) -> None:
        try:
            self._core.admit(request)
        except JobError as error:
            self._refused.append(refusal(request.id, error))

    def _step(self) -> None:
        endings, self._refused = self._refused, []
        if running := self._core.running:
            endings += self._core.step()
            self._steps += 1
            self._running_sum += running
        self._tell(endings)

    def _tell(self, endings: Sequence[Ending]) -> None:
        # Before what ended: who has the last answer has the last figures too.
        if self._now() - self._told >= PROGRESS_S or (endings and self._idle):
            self._told = self._now()
            self._wire.post("progress", self._progress())
        self._post("done", [ending.wire() for ending in endings if isinstance(ending, Completion)])
        self._post("failed", [ending.wire() for ending in endings if isinstance(ending, Refusal)])

    def _post(self, kind: str, items: list[Any]) -> None:
        if items:
            self._wire.post(kind, items)

    def _progress(self) -> dict[str, int]:
        return {
            "running": self._core.running,
            "waiting": len(self._waiting),
            "steps": self._steps,
            "running_sum": self._running_sum,
            "peak_memory": peak_memory(),
        }

    def _cancel(self, ids: frozenset[int]) -> None:
        self._waiting = deque(request for request in self._waiting if request.id not in ids)
        self._core.cancel(ids)

    def _give_back(self) -> None:
        """Return what has not begun; what runs goes on."""
        self._post("returned", [request.id for request in self._waiting])
        self._waiting.clear()
