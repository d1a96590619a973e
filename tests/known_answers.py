"""Scenes and questions that the shipped demo model answers right, whether it counts in f32 or in bf16.

Near-ties flip between the two, so those that are right under both were chosen:
`python -m tests.known_answers` chooses anew after the model has changed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

from workers.demo import INT4
from workers.demo.evaluate import Paper, answers
from workers.demo.questions import Question, exam_questions
from workers.demo.scenes import scene
from workers.demo.world import Scene

FILE = Path(__file__).with_suffix(".json")
SERIES = "known"
FORMS = ("landscape", "square", "portrait", "tall", "wide", "panorama")
PRECISIONS = ("f32", "bf16")


def known() -> Iterator[Paper]:
    """Each scene with its questions; the first one asks for a caption."""
    for entry in json.loads(FILE.read_text(encoding="utf-8")):
        here = _scene(entry["number"])
        yield here, [Question(**question) for question in entry["questions"]]


def _scene(number: int) -> Scene:
    return scene(SERIES, number, form=FORMS[number % len(FORMS)])


def choose(build: Path, most: int = 6) -> list[dict[str, object]]:
    """Per form, the first scene whose questions are all answered right at every precision."""
    chosen = []
    for first in range(len(FORMS)):
        numbers = range(first, 20 * len(FORMS), len(FORMS))
        number = next(number for number in numbers if _all_right(build, number, most))
        questions = [
            {"kind": question.kind, "text": question.text, "answer": question.answer}
            for question in _questions(_scene(number), most)
        ]
        chosen.append({"number": number, "questions": questions})
    return chosen


def _questions(here: Scene, most: int) -> list[Question]:
    return list(exam_questions(here, random.Random(here.grain), kinds=most))


def _all_right(build: Path, number: int, most: int) -> bool:
    paper = _scene(number), _questions(_scene(number), most)
    return all(
        answered.right
        for precision in PRECISIONS
        for answered in answers(build, [paper], settings={"INFERENCE_PRECISION_HINT": precision})
    )


if __name__ == "__main__":
    FILE.write_text(json.dumps(choose(INT4), indent=1) + "\n", encoding="utf-8")
