"""A sitting: one engine process in the exam, asked and waited for."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from types import TracebackType
from typing import Self

from workers.child import Refused
from workers.engine.client import Engine, EngineDied
from workers.engine.core import Ending
from workers.engine.requests import Completion, EngineConfig, Refusal, Request
from workers.verification.exam import Exam
from workers.verification.judging import Unfit

LOOK_EVERY_S = 0.05
EXACT = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}


class Sitting:
    """An engine process that lives as long as the block."""

    def __init__(self, config: EngineConfig, exam: Exam, stall_s: float, pause: Callable[[], None]) -> None:
        self.engine = Engine(config, exam.fd, stall_s=stall_s)
        self.seconds = 0.0
        """that the last answers took, the model's loading left out"""
        self._exam, self._pause, self._id = exam, pause, len(exam.questions)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.engine.close()

    @property
    def exact(self) -> bool:
        """Whether the device counts in full floats, where both engines say the same."""
        runtime = self.engine.runtime
        told = runtime.options["device"] if runtime else {}
        return all(told.get(name) == value for name, value in EXACT.items())

    def answer(self, questions: Sequence[Request]) -> list[Ending]:
        """How each question ended."""
        self._until(lambda: self.engine.runtime is not None)
        begun = time.monotonic()
        futures = self.engine.submit_all(questions)
        self._until(lambda: all(future.done() for future in futures))
        self.seconds = time.monotonic() - begun
        return [_ending(question.id, future) for question, future in zip(questions, futures, strict=True)]

    def say(self, question: Request, text: str) -> Ending:
        """How likely each token is if the answer is this text: a grammar leaves the model no other.

        The log-probabilities are those of the model's own output, before the grammar (openvino-genai 2026.4).
        Some tokenizers put a blank before the first word that the text no longer has.
        """
        self._id += 1
        grammar = f'root ::= " "? {json.dumps(text, ensure_ascii=False)}'
        return self.answer([replace(question, id=self._id, form={"kind": "grammar", "grammar": grammar})])[0]

    def _until(self, done: Callable[[], bool]) -> None:
        while not done():
            self._pause()
            self.engine.tend()
            child = self.engine.child
            if child.wire:
                child.wire.wait(LOOK_EVERY_S)
            else:
                time.sleep(min(LOOK_EVERY_S, child.due_in or 0.0))
            self.engine.receive()


def _ending(id: int, future: Future[Completion]) -> Ending:
    try:
        return future.result()
    except Refused as error:
        return Refusal(id=id, code=error.code, message=error.message)
    except EngineDied as error:
        raise Unfit(f"the engine died while it answered, as it does of damaged weights ({error})") from error
