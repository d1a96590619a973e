"""The parent's side of the engine process: requests in, futures out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.errors import EngineFailed, ModelChangedMeanwhile, SetupError
from pipeline.models import builds
from workers.child import Child, Death, Refused, StartsExhausted
from workers.engine.requests import Completion, EngineConfig, Refusal, Request, Runtime


class EngineDied(Exception):
    """The engine process died or was killed for its silence, with this request inside."""

    def __init__(self, reason: str, *, stalled: bool) -> None:
        super().__init__(reason)
        self.stalled = stalled


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """How the present process does, as it last told."""

    load_s: float = 0.0
    running: int = 0
    waiting: int = 0
    steps: int = 0
    running_sum: int = 0
    peak_memory: int = 0
    """bytes"""

    @property
    def mean_running(self) -> float:
        """How full the batch was over all steps."""
        return self.running_sum / self.steps if self.steps else 0.0


class Engine:
    """An engine process: `submit` gives a future, `receive` and `tend` keep it going and never block.

    Requests wait here until the process is ready. When it dies, those it had been sent fail with
    `EngineDied`, and a new process is started.
    """

    def __init__(
        self, config: EngineConfig, pixels: int, *, stall_s: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._model, self._stamp = Path(config.model), config.stamp
        self.child = Child("workers.engine", config.wire(), shared=pixels, now=now)
        self.runtime: Runtime | None = None
        """what the engine said of itself when it was ready; kept over restarts"""
        self.figures = Figures()
        self.stall_s, self._now = stall_s, now
        self._drained = False
        self._asked_since = now()
        self._waiting: dict[int, tuple[Request, Future[Completion]]] = {}
        self._sent: dict[int, Future[Completion]] = {}

    def submit(self, request: Request) -> Future[Completion]:
        return self.submit_all([request])[0]

    def submit_all(self, requests: Iterable[Request]) -> list[Future[Completion]]:
        futures: list[Future[Completion]] = []
        for request in requests:
            future: Future[Completion] = Future()
            self._waiting[request.id] = (request, future)
            futures.append(future)
        self._send()
        return futures

    def cancel(self, ids: Iterable[int]) -> None:
        """Forget requests, in the process too. Their futures are cancelled."""
        sent = []
        for id in ids:
            if waiting := self._waiting.pop(id, None):
                waiting[1].cancel()
            elif future := self._sent.pop(id, None):
                future.cancel()
                sent.append(id)
        if sent:
            self.child.post("cancel", sent)

    def drain(self) -> None:
        """Give up what the process has not begun: those futures are cancelled, what runs goes on."""
        if self._drained:
            return
        self._drained = True
        for _, future in self._waiting.values():
            future.cancel()
        self._waiting.clear()
        self.child.post("drain", None)

    def tend(self) -> None:
        """Start a dead process again; kill one that makes no progress."""
        try:
            self.child.tend()
        except StartsExhausted as error:
            raise (SetupError(detail=str(error)) if error.refused else EngineFailed(why=str(error))) from error
        silent = self._now() - max(self.child.heard, self._asked_since)
        if self._sent and silent > self.stall_s and not self.child.unread:
            death = self.child.kill(f"it made no progress for {self.stall_s:g} s")
            self._died(death, stalled=True)

    def receive(self) -> None:
        """Resolve the futures whose answers have arrived."""
        was_ready = self.child.ready is not None
        for message in self.child.receive():
            if isinstance(message, Death):
                self._died(message, stalled=False)
            else:
                self._handle(*message)
        if self.child.ready is not None and not was_ready:
            self.runtime = Runtime.of_wire(self.child.ready)
            self.figures = Figures(load_s=self._now() - self.child.started)
            self._check_files()
            self._send()

    def close(self) -> None:
        self.child.close()

    def _check_files(self) -> None:
        """Once they are loaded: another build may have taken the name since, with an engine that died in between."""
        if self._stamp and builds.stamp(self._model) != self._stamp:
            raise ModelChangedMeanwhile(path=self._model)
        for future in self._sent.values():
            future.cancel()
        self._sent.clear()

    def _send(self) -> None:
        if self.child.ready is None or not self._waiting:
            return
        if not self._sent:
            self._asked_since = self._now()
        self.child.post("ask", [request.wire() for request, _ in self._waiting.values()])
        self._sent |= {id: future for id, (_, future) in self._waiting.items()}
        self._waiting.clear()

    def _handle(self, kind: str, body: object) -> None:
        match kind, body:
            case "done", list(items):
                for item in items:
                    completion = Completion.of_wire(item)
                    if future := self._sent.pop(completion.id, None):
                        future.set_result(completion)
            case "failed", list(items):
                for item in items:
                    refusal = Refusal.of_wire(item)
                    if future := self._sent.pop(refusal.id, None):
                        future.set_exception(Refused(refusal.code, refusal.message))
            case "returned", list(ids):
                for id in ids:
                    if future := self._sent.pop(id, None):
                        future.cancel()
            case "progress", dict(figures):
                self.figures = replace(self.figures, **figures)

    def _died(self, death: Death, *, stalled: bool) -> None:
        sent, self._sent = self._sent, {}
        for future in sent.values():
            future.set_exception(EngineDied(death.reason, stalled=stalled))
