"""Exercises: drawn scenes by number, with what `pixmill demo` asks about each and the true answers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.prompts import CAPTION, Prompt
from workers.demo.captions import caption
from workers.demo.questions import Question, exam_questions
from workers.demo.scenes import exam
from workers.demo.world import Scene

KINDS_A_SCENE = 3


@dataclass(frozen=True, slots=True)
class Exercise:
    """A scene, the name of its picture, and its questions; the first one asks for a caption."""

    name: str
    scene: Scene
    questions: tuple[Question, ...]

    def prompts(self) -> tuple[Prompt, ...]:
        return tuple(Prompt.ask(question.text) for question in self.questions)


def exercises(seed: int, count: int) -> Iterator[Exercise]:
    """The first `count` exercises of a seed: scenes of a series that the model was not taught with."""
    for number, scene in enumerate(exam(f"demo {seed}", count), 1):
        yield Exercise(f"scene-{number:04}.png", scene, (_describe(scene), *_questions(scene)))


def _describe(scene: Scene) -> Question:
    """In the words of `pixmill run` without a question, so that it finds these answers known."""
    return Question("caption", CAPTION, caption(scene))


def _questions(scene: Scene) -> Iterator[Question]:
    asked = exam_questions(scene, random.Random(scene.grain), kinds=KINDS_A_SCENE)
    next(asked)  # its own request for a caption
    yield from asked
