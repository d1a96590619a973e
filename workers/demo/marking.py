"""Marking: what was said beside what is true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from pipeline.store.rows import AnswerRow, ItemRow
from workers.demo.exercises import Exercise
from workers.demo.questions import Question


class Mark(StrEnum):
    """How a question ended."""

    RIGHT = "right"
    WRONG = "wrong"
    FAILED = "failed"
    """its job has no answer, but a reason"""
    OPEN = "open"
    """not asked yet"""


@dataclass(frozen=True, slots=True)
class Marked:
    """A question with what was said."""

    question: Question
    said: str
    """the answer, or why there is none"""
    mark: Mark

    @property
    def is_caption(self) -> bool:
        return self.question.kind == "caption"


@dataclass(frozen=True, slots=True)
class Card:
    """A picture with its marked answers, the caption first."""

    exercise: Exercise
    marked: tuple[Marked, ...]

    @property
    def caption(self) -> Marked:
        return self.marked[0]

    @property
    def questions(self) -> tuple[Marked, ...]:
        return self.marked[1:]


@dataclass(frozen=True, slots=True)
class Score:
    """So many right of those answered, of all that was asked."""

    asked: int = 0
    answered: int = 0
    right: int = 0

    @property
    def share(self) -> float | None:
        return self.right / self.answered if self.answered else None

    def __str__(self) -> str:
        share = "" if self.share is None else f" ({self.share:.1%})"
        return f"{self.right:,} of {self.answered:,}{share}"


def cards(exercises: Iterable[Exercise], items: Iterable[ItemRow]) -> Iterator[Card]:
    """The exercises with the items of their batch, which come in the same order. A late row's are left open."""
    found = {(item.row, item.ask): item for item in items}
    for row, exercise in enumerate(exercises):
        marked = (_marked(question, found.get((row, ask))) for ask, question in enumerate(exercise.questions))
        yield Card(exercise, tuple(marked))


def _marked(question: Question, item: ItemRow | None) -> Marked:
    if item is not None and item.answer is not None:
        # To the letter, as in the examination that the manifest's figures come from.
        right = item.answer.model_text == question.answer
        return Marked(question, item.answer.model_text, Mark.RIGHT if right else Mark.WRONG)
    if item is not None and item.error_code:
        return Marked(question, item.error or item.error_code, Mark.FAILED)
    return Marked(question, "not asked yet", Mark.OPEN)


def score(marked: Iterable[Marked]) -> Score:
    marks = Counter(one.mark for one in marked)
    return Score(marks.total(), marks[Mark.RIGHT] + marks[Mark.WRONG], marks[Mark.RIGHT])


def by_kind(cards: Iterable[Card]) -> dict[str, Score]:
    """The score of each kind of question, the weakest first."""
    kinds: dict[str, list[Marked]] = {}
    for card in cards:
        for one in card.questions:
            kinds.setdefault(one.question.kind, []).append(one)
    scores = {kind: score(marked) for kind, marked in kinds.items()}
    return dict(sorted(scores.items(), key=lambda entry: (-1 if entry[1].share is None else entry[1].share, entry[0])))


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Which build answered, and where it ran."""

    model: str
    precision: str
    build: str
    device: str
    device_name: str
    openvino: str

    @classmethod
    def of(cls, answer: AnswerRow) -> Origin:
        return cls(
            model=answer.model,
            precision=answer.build.precision,
            build=answer.build.digest[:12],
            device=answer.runtime.device,
            device_name=answer.runtime.device_name,
            openvino=answer.runtime.versions.get("openvino_genai", "unknown"),
        )

    def __str__(self) -> str:
        where = f"{self.device} ({self.device_name})"
        return f"{self.model}, {self.precision}, build {self.build}, on {where} with OpenVINO {self.openvino}"


def origins(answers: Iterable[AnswerRow]) -> list[Origin]:
    """Who answered, most answers first."""
    return [origin for origin, _ in Counter(map(Origin.of, answers)).most_common()]
