"""The fake engine: scripted answers with honest timing, for tests and benchmarks, without a model."""

from __future__ import annotations

import os
import signal
import time
import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from pipeline import __version__
from pipeline.errors import EmptyAnswer, OutOfCache
from workers.engine.core import Ending, refusal
from workers.engine.requests import Completion, EngineConfig, Request, Runtime
from workers.engine.waves import Broken, Waves


@dataclass(frozen=True, kw_only=True)
class Script:
    """What a fake engine does. The `..._on` are parts of a question, or none."""

    load_s: float = 0.0
    vision_s: float = 0.0
    """for each picture, while nothing else moves: like a real vision encoder. In a wave, once for all its questions"""
    step_s: float = 0.0
    """for each step, which gives every running request one token"""
    tokens: tuple[int, int] = (1, 1)
    """fewest and most of an answer; which, the question decides"""
    text: str = "{question}|{width}x{height}|{pixel}"
    """of the answer; `pixel` is the first one's red, green and blue, `seed` the sampling's"""
    die_on: str | None = None
    die_on_pixel: tuple[int, int, int] | None = None
    stall_on: str | None = None
    ignore_on: str | None = None
    """no room in the cache, not even alone; a wave with it is broken"""
    empty_on: str | None = None
    holds_forms: bool = True
    """whether it says that it can hold answers to a form; it never does"""


@dataclass(slots=True)
class _Running:
    request: Request
    pixel: tuple[int, ...]
    tokens: int
    admitted: float
    vision_s: float
    done: int = 0
    first_token: float = 0.0

    @property
    def wanted(self) -> int:
        return min(self.tokens, self.request.sampling.max_tokens)


class Fake:
    """Runs up to `max_num_seqs` requests, one token each in a step, like a continuous batch; or a wave of as many."""

    def __init__(self, config: EngineConfig, pixels: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self._script, self._pixels, self._now = Script(**config.script), pixels, now
        self._max_num_seqs = config.max_num_seqs
        self._running: dict[int, _Running] = {}
        self.waves: Waves | None = self
        self.most, self.pulse = config.max_num_seqs, 0
        self.runtime = Runtime(
            engine="fake",
            device=config.device,
            device_name="scripted",
            versions={"pixmill": __version__},
            options=dict(config.script),
        )
        time.sleep(self._script.load_s)

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def full(self) -> bool:
        return self.running >= self._max_num_seqs

    def admit(self, request: Request) -> None:
        admitted = self._now()
        time.sleep(self._script.vision_s * len(request.frames))
        vision_s = self._now() - admitted
        tokens = self._length(request)
        self._running[request.id] = _Running(request, self._first_pixel(request), tokens, admitted, vision_s)

    def fits(self, group: Sequence[Request]) -> bool:
        return True

    def show(self, group: Sequence[Request]) -> list[Ending]:
        self.admit(group[0])
        shown = self._running[group[0].id]
        for request in group:
            self._running[request.id] = replace(
                shown, request=request, tokens=self._length(request), vision_s=shown.vision_s / len(group)
            )
        return []

    def answer(self) -> list[Ending]:
        riders, self._running = list(self._running.values()), {}
        if any(self._asked(running, self._script.ignore_on) for running in riders):
            raise Broken
        endings: list[Ending] = []
        while riders:
            endings += self._advance(riders)
            riders = [running for running in riders if running.done < running.wanted]
        return endings

    def step(self) -> list[Ending]:
        endings = self._advance(self._running.values())
        self.cancel([ending.id for ending in endings])
        return endings

    def _advance(self, together: Collection[_Running]) -> list[Ending]:
        """Give each one more token; those that end by it."""
        for running in together:
            self._mischief(running)
        time.sleep(self._script.step_s)
        self.pulse += 1
        now = self._now()
        for running in together:
            running.first_token = running.first_token or now
            running.done += 1
        return [self._end(running, now) for running in together if running.done >= running.wanted]

    def cancel(self, ids: Collection[int]) -> None:
        for id in ids:
            self._running.pop(id, None)

    def _mischief(self, running: _Running) -> None:
        """Die like a driver's crash, or hang like one, in the middle of everybody's work."""
        deadly = self._script.die_on_pixel is not None and running.pixel == tuple(self._script.die_on_pixel)
        if deadly or self._asked(running, self._script.die_on):
            os.kill(os.getpid(), signal.SIGKILL)
        while self._asked(running, self._script.stall_on):
            signal.pause()

    def _end(self, running: _Running, now: float) -> Ending:
        request = running.request
        if self._asked(running, self._script.ignore_on):
            return refusal(request.id, OutOfCache())
        if self._asked(running, self._script.empty_on):
            return refusal(request.id, EmptyAnswer())
        return Completion(
            id=request.id,
            text=self._text(running),
            finish_reason="length" if running.wanted < running.tokens else "stop",
            prompt_tokens=len(_question(request).split()),
            answer_tokens=running.done,
            logprob=0.0,
            vision_s=running.vision_s,
            first_token_s=running.first_token - running.admitted,
            total_s=now - running.admitted,
        )

    def _text(self, running: _Running) -> str:
        request = running.request
        width, height = (request.frames[0].width, request.frames[0].height) if request.frames else (0, 0)
        pixel = ",".join(map(str, running.pixel))
        return self._script.text.format(
            question=_question(request), width=width, height=height, pixel=pixel, seed=request.sampling.seed
        )

    def _length(self, request: Request) -> int:
        fewest, most = self._script.tokens
        return fewest + zlib.crc32(_question(request).encode("utf-8", "surrogatepass")) % (most - fewest + 1)

    def _first_pixel(self, request: Request) -> tuple[int, ...]:
        return tuple(os.pread(self._pixels, 3, request.frames[0].offset)) if request.frames else ()

    @staticmethod
    def _asked(running: _Running, part: str | None) -> bool:
        return part is not None and part in _question(running.request)


def _question(request: Request) -> str:
    return request.messages[-1][1]


def load(config: EngineConfig, pixels: int) -> Fake:
    return Fake(config, pixels)
