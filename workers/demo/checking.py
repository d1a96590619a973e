"""How much a pupil knows: whole answers right on scenes it never saw, each token given the right ones before it.

Quick, for the time of training. The figures that count are measured on the finished build by `evaluate`.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from workers.demo.drawing import draw
from workers.demo.lessons import Packer, warp
from workers.demo.perception import labels
from workers.demo.pupil import Pupil
from workers.demo.questions import Question, exam_questions
from workers.demo.scenes import exam
from workers.demo.world import Scene

BATCH = 20

Marks = dict[str, list[bool]]


def check(pupil: Pupil, tokenizer: Any, scenes: int) -> Mapping[str, float]:
    """The share right by kind, of captions, and of all questions."""
    packer = Packer(tokenizer)
    papers = [(scene, list(exam_questions(scene, random.Random(scene.grain)))) for scene in exam("check", scenes)]
    marks: Marks = defaultdict(list)
    for start in range(0, scenes, BATCH):
        for question, right in _mark(pupil, packer, papers[start : start + BATCH]):
            marks[question.kind].append(right)
            if question.kind != "caption":
                marks["questions"].append(right)
    return {kind: round(sum(found) / len(found), 4) for kind, found in sorted(marks.items())}


def _mark(pupil: Pupil, packer: Packer, papers: list[tuple[Scene, list[Question]]]) -> Iterator[tuple[Question, bool]]:
    scenes = [scene for scene, _ in papers]
    turns = [[packer.turn(question) for question in questions] for _, questions in papers]
    pixels, patches = [warp(draw(scene)) for scene in scenes], [labels(scene) for scene in scenes]
    lesson = packer.lesson(pixels, patches, turns)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        said = pupil.answers(lesson, pupil.see(lesson.pixels))
    wrong = torch.zeros(said.due.shape, dtype=torch.bool)
    wrong[said.due] = said.logits.argmax(-1) != said.targets
    for row, (_, questions) in enumerate(papers):
        for number, question in enumerate(questions, 1):
            yield question, not bool(wrong[row][lesson.segments[row] == number].any())
