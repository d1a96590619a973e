"""The loop of the engine process: hear, admit, step, tell."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pipeline.errors import JobError
from workers.engine.aside import Aside
from workers.engine.core import Core, Ending, refusal
from workers.engine.requests import Completion, Refusal, Request
from workers.engine.waves import WAVE_PICTURES, WAVE_S, Broken, Waves, together
from workers.process import peak_memory
from workers.wire import Message, Wire

# Admitting runs the vision encoder while every running answer waits: unbounded, they stood still for 9.5 s
# on a 0.7 B model. One picture is always admitted, since nothing can be faster than that.
ADMISSION_S = 0.1
PROGRESS_S = 1.0


class Loop:
    """Serves one core over one wire, in one thread: a reader thread would only wait for the GIL.

    Ends with `Closed` when the parent is gone, which is looked at between admissions too.

    Questions that share their pictures with others that wait go in waves, the rest singly. They take turns: when
    a wave has ended, what waits singly is admitted; then nothing is, until all that runs has ended and the next
    wave begins. So a single question waits for one wave at most, and no wave waits to become larger.
    """

    def __init__(self, wire: Wire, core: Core, *, now: Callable[[], float] = time.monotonic) -> None:
        self._wire, self._core, self._now = wire, core, now
        self._waiting: deque[Request] = deque()
        self._ended: list[Ending] = []
        self._riding: dict[int, Request] = {}
        self._apart: set[int] = set()
        """ids of what came to nothing in a wave, or cannot be in one"""
        self._wave_is_next, self._answers_took = True, 0.0
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
        waves = self._core.waves
        if waves and self._wave_is_next and self._groups(waves):
            if not self._core.running:
                self._wave_is_next = False
                self._ride(waves)
        else:
            self._admit_singly()

    def _admit_singly(self) -> None:
        until = self._now() + ADMISSION_S
        while not self._core.full and (request := self._single()):
            self._begin(request)
            if self._now() >= until:
                break
            self._listen()
        else:
            self._wave_is_next = True

    def _single(self) -> Request | None:
        """The next question that is not for a wave."""
        waves = self._core.waves
        grouped = {request.id for group in self._groups(waves) for request in group} if waves else ()
        return next((request for request in self._waiting if request.id not in grouped), None)

    def _begin(self, request: Request) -> None:
        self._waiting.remove(request)
        self._apart.discard(request.id)
        try:
            self._core.admit(request)
        except JobError as error:
            self._ended.append(refusal(request.id, error))

    # --- waves -----------------------------------------------------------------------------------

    def _groups(self, waves: Waves) -> list[list[Request]]:
        return together(self._waiting, self._apart) if waves.most > 1 else []

    def _ride(self, waves: Waves) -> None:
        """Show pictures for a while, then have all questions about them answered."""
        until, shown = self._now() + max(WAVE_S, self._answers_took), 0
        while shown < WAVE_PICTURES and self._now() < until and (group := self._next_group(waves)):
            self._show(waves, group)
            shown += 1
            self._tell(())
            self._listen()
        if shown:
            self._answer(waves)

    def _next_group(self, waves: Waves) -> list[Request] | None:
        """The first group for which the wave has room. One that fits in no wave, not even alone, is set apart."""
        room = waves.most - len(self._riding)
        for group in self._groups(waves):
            if not self._riding and not waves.fits(group):
                self._apart |= {request.id for request in group}
            elif not self._riding:
                return group[:room]
            elif len(group) <= room and waves.fits(group):
                return group
        return None

    def _show(self, waves: Waves, group: Sequence[Request]) -> None:
        shown = {request.id: request for request in group}
        self._waiting = deque(request for request in self._waiting if request.id not in shown)
        try:
            refused = waves.show(group)
        except Broken:
            self._ask_singly(group)
            return
        self._ended += refused
        self._riding |= shown
        for ending in refused:
            del self._riding[ending.id]

    def _answer(self, waves: Waves) -> None:
        """`generate` lets go of the GIL: meanwhile the loop goes on hearing, and tells of the progress it sees."""
        riders, begun = len(self._riding), self._now()
        answering, pulse = Aside(waves.answer), waves.pulse
        while not answering.ended(self._wire, PROGRESS_S):
            self._listen()
            if waves.pulse != pulse:
                pulse = waves.pulse
                self._wire.post("progress", self._progress())
        try:
            self._ended += answering.result()
        except Broken:
            self._ask_singly(self._riding.values())
        self._riding.clear()
        self._answers_took = self._now() - begun
        self._steps += 1
        self._running_sum += riders

    def _ask_singly(self, requests: Iterable[Request]) -> None:
        again = list(requests)
        self._apart |= {request.id for request in again}
        self._waiting.extendleft(reversed(again))

    # --- what comes of it ------------------------------------------------------------------------

    def _step(self) -> None:
        endings, self._ended = self._ended, []
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
            "running": self._core.running + len(self._riding),
            "waiting": len(self._waiting),
            "steps": self._steps,
            "running_sum": self._running_sum,
            "peak_memory": peak_memory(),
        }

    def _cancel(self, ids: frozenset[int]) -> None:
        self._waiting = deque(request for request in self._waiting if request.id not in ids)
        for id in ids:
            self._riding.pop(id, None)
        self._apart -= ids
        self._core.cancel(ids)

    def _give_back(self) -> None:
        """Return what has not begun; what runs goes on."""
        self._post("returned", [request.id for request in self._waiting])
        self._waiting.clear()
        self._apart.clear()
