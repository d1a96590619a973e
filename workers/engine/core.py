"""A core: what runs the model inside the engine process, as the loop sees it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection
from typing import Protocol, cast

from pipeline.errors import EngineFailed, JobError
from workers.engine.requests import Completion, EngineConfig, Refusal, Request, Runtime
from workers.engine.waves import Waves

Ending = Completion | Refusal


class Core(Protocol):
    """One model on one device. Everything is called from one thread, in turn."""

    @property
    def runtime(self) -> Runtime:
        """What this core says of itself."""

    @property
    def waves(self) -> Waves | None:
        """How questions about the same pictures are answered together, if that is cheaper here."""

    @property
    def running(self) -> int:
        """How many requests were admitted and have not ended."""

    @property
    def full(self) -> bool:
        """Whether nothing more is to be admitted now."""

    def admit(self, request: Request) -> None:
        """Begin a request, with its vision encoder's work. Raises a `JobError` when it can never run."""

    def step(self) -> list[Ending]:
        """Do one piece of work on what runs; what ended by it. An exception is fatal for the process."""

    def cancel(self, ids: Collection[int]) -> None:
        """Forget these requests, as far as they run."""


CORES = {name: f"workers.engine.{name}" for name in ("batching", "serial", "fake")}


def start(config: EngineConfig, pixels: int) -> Core:
    """Load the model. Raises a `SetupError` when starting again cannot help."""
    if config.engine not in CORES:
        raise EngineFailed(why=f"there is no engine {config.engine!r}; engines: {', '.join(CORES)}")
    load = cast(Callable[[EngineConfig, int], Core], importlib.import_module(CORES[config.engine]).load)
    return load(config, pixels)


def refusal(id: int, error: JobError) -> Refusal:
    """An error as the parent is told."""
    return Refusal(id=id, code=error.code, message=str(error))
