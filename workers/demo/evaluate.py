"""Examines a build through the batching engine: `python -m workers.demo.evaluate BUILD`."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np

from pipeline.prompts import Sampling
from workers.demo.drawing import draw
from workers.demo.questions import Question, exam_questions
from workers.demo.scenes import exam
from workers.demo.world import HELD_OUT, Scene
from workers.engine.core import start
from workers.engine.requests import Completion, EngineConfig, Frame, Request

SAMPLING = Sampling(max_tokens=96)
KINDS_A_SCENE = 3

Paper = tuple[Scene, Sequence[Question]]


@dataclass(frozen=True, slots=True)
class Answered:
    """A question about a scene, and what the model said."""

    scene: Scene
    question: Question
    said: str

    @property
    def right(self) -> bool:
        return self.said == self.question.answer


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the examination."""

    form: str | None = None
    kept: bool = False


PARTS: Mapping[str, Part] = {
    "held-out scenes": Part(),
    "held-out phrasings": Part(kept=True),
    "portrait 9:16": Part(form="tall"),
}


@dataclass
class Marks:
    """How many answers were right, by kind and in all. Captions are counted apart from questions."""

    asked: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    wrong: list[Answered] = field(default_factory=list)

    def add(self, answered: Answered) -> None:
        kind = answered.question.kind
        names = [kind] if kind == "caption" else [kind, "questions"]
        if kind != "caption" and any((thing.color, thing.shape) in HELD_OUT for thing in answered.scene.things):
            names.append("about held-out combinations")
        self.asked.update(names)
        self.right.update(names if answered.right else [])
        if not answered.right:
            self.wrong.append(answered)

    def shares(self) -> dict[str, float]:
        return {kind: round(self.right[kind] / asked, 4) for kind, asked in sorted(self.asked.items())}


def examine(build: Path, scenes: int, *, settings: Mapping[str, str] | None = None) -> dict[str, Marks]:
    """The marks of each part."""
    marks = {name: Marks() for name in PARTS}
    for name, part in PARTS.items():
        for answered in answers(build, papers(part, scenes), settings=settings):
            marks[name].add(answered)
    return marks


def papers(part: Part, scenes: int) -> Iterator[Paper]:
    """Scenes never trained with, and what is asked about each: a caption and three questions by lot."""
    for scene in exam("final", scenes, form=part.form):
        questions = exam_questions(scene, random.Random(scene.grain), kinds=KINDS_A_SCENE, kept=part.kept)
        yield scene, list(questions)


def answers(build: Path, papers: Iterable[Paper], *, settings: Mapping[str, str] | None = None) -> Iterator[Answered]:
    """What the batching engine says, in the order in which answers end."""
    slot = os.memfd_create("scene")
    config = EngineConfig(model=str(build), device_config=settings or {}, cache_size=1, logprobs=False)
    try:
        core = start(config, slot)
        waiting = enumerate(_requests(papers, slot))
        asked: dict[int, tuple[Scene, Question]] = {}
        while True:
            while not core.full and (following := next(waiting, None)):
                number, (scene, question, frame) = following
                asked[number] = scene, question
                core.admit(_request(number, question, frame))
            if not core.running:
                return
            for ending in core.step():
                yield Answered(*asked.pop(ending.id), ending.text if isinstance(ending, Completion) else "")
    finally:
        os.close(slot)


def _requests(papers: Iterable[Paper], slot: int) -> Iterator[tuple[Scene, Question, Frame]]:
    """Each scene is drawn into the one slot when its first question is due: the engine copies it on admission."""
    for scene, questions in papers:
        pixels = np.ascontiguousarray(draw(scene))
        os.pwrite(slot, pixels.data, 0)
        for question in questions:
            yield scene, question, Frame(offset=0, width=scene.width, height=scene.height)


def _request(number: int, question: Question, frame: Frame) -> Request:
    return Request(id=number, frames=(frame,), messages=(("user", question.text),), sampling=SAMPLING)


def report(marks: Mapping[str, Marks]) -> Iterator[str]:
    """Lines for a person: shares by kind, and the first wrong answers of each part."""
    for name, part in marks.items():
        yield name
        for kind, share in part.shares().items():
            yield f"  {kind:30} {100 * share:6.1f} % of {part.asked[kind]}"
        for answered in part.wrong[:5]:
            yield f"  {answered.question.text} -> {answered.said} (is: {answered.question.answer})"


@click.command()
@click.argument("build", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--scenes", default=1000, show_default=True, help="Scenes in each part.")
@click.option("--precision", help="OpenVINO's INFERENCE_PRECISION_HINT: f32 or bf16; by default what the device likes.")
@click.option("--json", "as_json", is_flag=True, help="Print the shares as JSON.")
def main(build: Path, scenes: int, precision: str | None, as_json: bool) -> None:
    """Examine a build of the demo model on scenes and phrasings it never saw."""
    marks = examine(build, scenes, settings={"INFERENCE_PRECISION_HINT": precision} if precision else {})
    if as_json:
        click.echo(json.dumps({name: part.shares() for name, part in marks.items()}, indent=2))
    else:
        click.echo("\n".join(report(marks)))


if __name__ == "__main__":
    main()
