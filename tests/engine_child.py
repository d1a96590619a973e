"""A real engine process for tests: pictures go into a real memfd, questions over a real socket."""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from pipeline.prompts import Prompt, Sampling
from tests.models import make
from workers.engine.core import Ending
from workers.engine.requests import Completion, EngineConfig, Frame, Refusal, Request, Runtime
from workers.pixels import Pixels
from workers.wire import Closed, Wire

PATIENCE = 60.0
EXACT = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
"""so that texts can be compared: what the device prefers flips near-ties"""
CONTEXT = 40_000


def build(family: str, folder: Path, *, ending: float | None = 0.7) -> str:
    """A generated model that says, like real ones do, how long a question may be."""
    config = make(family, folder, ending=ending) / "config.json"
    content = json.loads(config.read_text())
    place = content.get("text_config") or content.get("llm_config") or content
    place["max_position_embeddings"] = CONTEXT
    config.write_text(json.dumps(content))
    return str(folder)


class Died(Exception):
    """The engine process ended."""


class Refused(Exception):
    """The engine cannot start; the text is its sentence."""


class EngineChild:
    """Starts an engine, asks it, and collects what it says. A parent as simple as can be, with no second try."""

    def __init__(self, config: EngineConfig, *, slots: int = 64, max_pixels: int = 1 << 20) -> None:
        self._pixels = Pixels(slots, max_pixels, budget=1 << 40)
        ours, theirs = socket.socketpair()
        fds = (theirs.fileno(), self._pixels.fd)
        self._notes = os.memfd_create("notes")
        command = [sys.executable, "-m", "workers.engine", *map(str, fds)]
        self._process = subprocess.Popen(command, pass_fds=fds, stdout=self._notes, stderr=self._notes)
        theirs.close()
        self._wire = Wire(ours)
        self._ids = itertools.count(1)
        self._endings: dict[int, Ending] = {}
        self._runtime: Runtime | None = None
        self.returned: list[int] = []
        self.progress: list[dict[str, int]] = []
        self.post("config", config.wire())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.hang_up()
        os.close(self._notes)
        self._pixels.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def pixels(self) -> int:
        return self._pixels.fd

    def hears(self, seconds: float) -> bool:
        """Whether the engine says anything within this time."""
        return self._wire.wait(seconds)

    def hang_up(self) -> int:
        """Close the socket, as a parent's death would, and wait for the process to end."""
        self._wire.close()
        return self._process.wait(PATIENCE)

    def ready(self) -> Runtime:
        while self._runtime is None:
            self._hear()
        return self._runtime

    def picture(self, pixels: np.ndarray[Any, Any]) -> Frame:
        """Put height x width x RGB into shared memory."""
        offset = self._pixels.take()
        assert offset is not None
        height, width, _ = pixels.shape
        os.pwrite(self._pixels.fd, pixels.tobytes(), offset)
        return Frame(offset=offset, width=width, height=height)

    def free(self, frame: Frame) -> None:
        self._pixels.free(frame.offset)

    @property
    def cpu_s(self) -> float:
        """CPU seconds the process has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def request(
        self, question: str, *frames: Frame, system: str | None = None, sampling: Sampling | None = None
    ) -> Request:
        prompt = Prompt.ask(question, system=system, sampling=sampling)
        return Request(id=next(self._ids), frames=frames, messages=prompt.messages, sampling=prompt.sampling)

    def ask(self, *requests: Request) -> list[int]:
        self.post("ask", [request.wire() for request in requests])
        return [request.id for request in requests]

    def post(self, kind: str, body: Any) -> None:
        self._wire.send(kind, body)

    def collect(self, ids: Sequence[int]) -> list[Ending]:
        """Wait until all of these have ended."""
        while not self._endings.keys() >= set(ids):
            self._hear()
        return [self._endings[id] for id in ids]

    def answer(self, request: Request) -> Ending:
        return self.collect(self.ask(request))[0]

    def hear_until(self, kind: str) -> None:
        """Wait for a message that is no ending."""
        seen = len(getattr(self, kind))
        while len(getattr(self, kind)) == seen:
            self._hear()

    def _hear(self) -> None:
        assert self._wire.wait(PATIENCE), "the engine says nothing"
        try:
            messages = self._wire.receive()
        except Closed:
            raise Died(self._last_words()) from None
        for message in messages:
            self._note(*message)

    def _last_words(self) -> str:
        code = self._process.wait(PATIENCE)
        return f"ended with {code}: {os.pread(self._notes, 1 << 16, 0).decode()}"

    def _note(self, kind: str, body: Any) -> None:
        match kind:
            case "ready":
                self._runtime = Runtime.of_wire(body)
            case "refused":
                raise Refused(body)
            case "done":
                self._endings |= {item["id"]: Completion.of_wire(item) for item in body}
            case "failed":
                self._endings |= {item["id"]: Refusal.of_wire(item) for item in body}
            case "returned":
                self.returned += body
            case "progress":
                self.progress.append(body)


def text(ending: Ending) -> str:
    assert isinstance(ending, Completion), ending
    return ending.text


def code(ending: Ending) -> str:
    assert isinstance(ending, Refusal), ending
    return ending.code
