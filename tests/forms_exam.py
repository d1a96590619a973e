"""The bundled model asked the same with and without a form, about drawn scenes whose truth is known."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pipeline import forms
from pipeline.errors import InvalidAnswer
from pipeline.evaluation.texts import is_same
from pipeline.prompts import Sampling
from tests.engine_child import EngineChild, text
from workers.demo import INT4
from workers.demo.drawing import draw
from workers.demo.questions import Question, exam_questions
from workers.demo.scenes import exam
from workers.demo.world import BACKGROUNDS, COLORS, SHAPES, SIZES
from workers.engine.requests import EngineConfig, Frame, Request

CLOSED: Mapping[str, Sequence[str]] = {
    "color": list(COLORS),
    "shape": list(SHAPES),
    "size": list(SIZES),
    "background": list(BACKGROUNDS),
}
ROOM = 2_000_000
"""pixels of the largest scene"""
AT_ONCE = 20
"""pictures whose questions are in flight together"""


@dataclass
class Marks:
    """How many answers there were, how many had the form, and how many were right with it and without."""

    asked: int = 0
    formed: int = 0
    held_right: int = 0
    free_right: int = 0


@dataclass
class Exam:
    """The marks by form: choices, yes_no, number, and each of them within a schema's object."""

    marks: dict[str, Marks] = field(default_factory=lambda: defaultdict(Marks))
    wrong: Counter[str] = field(default_factory=Counter)

    def mark(self, name: str, question: Question, form: Mapping[str, Any], held: str, free: str) -> None:
        marks = self.marks[name]
        marks.asked += 1
        marks.free_right += is_same(free, question.answer)
        try:
            value = forms.parsed(form, held)
        except InvalidAnswer as error:
            self.wrong[str(error)] += 1
            return
        marks.formed += 1
        marks.held_right += is_same(_word(value), question.answer)


def _word(value: Any) -> str:
    if isinstance(value, dict):
        (value,) = value.values()
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def forms_of(question: Question) -> Iterator[tuple[str, dict[str, Any]]]:
    """The forms that a question's answer can have, by name."""
    if question.answer in ("yes", "no"):
        yield "yes_no", {"kind": "yes_no"}
        inner: dict[str, Any] = {"enum": ["yes", "no"]}
    elif question.kind in CLOSED:
        yield "choices", {"kind": "choices", "choices": CLOSED[question.kind]}
        inner = {"enum": CLOSED[question.kind]}
    elif question.kind == "count":
        yield "number", {"kind": "number", "integer": True}
        inner = {"type": "integer", "minimum": 0, "maximum": 9}
    else:
        return
    schema = {"type": "object", "properties": {question.kind: inner}, "required": [question.kind]}
    yield "schema", {"kind": "schema", "schema": schema}


def sit(scenes: int, *, seed: str = "forms", at_once: int = 16) -> Exam:
    """Ask each scene what has an answer in a form, all in batches of one engine."""
    found = Exam()
    config = EngineConfig(model=str(INT4), max_num_seqs=at_once)
    drawn = list(exam(seed, scenes))
    for start in range(0, scenes, AT_ONCE):
        with EngineChild(config, slots=AT_ONCE, max_pixels=ROOM) as engine:
            _sit(engine, found, drawn[start : start + AT_ONCE])
    return found


def _sit(engine: EngineChild, found: Exam, drawn: Sequence[Any]) -> None:
    asked: list[tuple[str, Question, dict[str, Any], Request, Request]] = []
    for scene in drawn:
        frame = engine.picture(np.asarray(draw(scene)))
        for question in exam_questions(scene, random.Random(scene.grain)):
            for name, form in forms_of(question):
                asked.append(
                    (name, question, form, _held(engine, question, frame, form), _free(engine, question, frame))
                )
    endings = engine.collect(engine.ask(*(one for *_, held, free in asked for one in (held, free))))
    for (name, question, form, _, _), held, free in zip(asked, endings[::2], endings[1::2], strict=True):
        found.mark(name, question, form, text(held), text(free))


def _free(engine: EngineChild, question: Question, frame: Frame) -> Request:
    return engine.request(question.text, frame, sampling=Sampling(max_tokens=40))


def _held(engine: EngineChild, question: Question, frame: Frame, form: dict[str, Any]) -> Request:
    return replace(_free(engine, question, frame), form=form)
