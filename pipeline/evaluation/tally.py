"""The tally of an evaluation: items beside their truth, counted as they pass; only the worst are kept."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pipeline.evaluation.cider import Corpus
from pipeline.evaluation.metrics import Metric
from pipeline.evaluation.truth import Right, Some, Truth
from pipeline.jobs import State
from pipeline.store.rows import ItemRow, PictureRow

KEPT = 100
"""of the answers that are not all right, the worst: for tables and pages"""
_FAILED = (State.FAILED, State.CANCELLED)

Scores = Mapping[str, float]
"""by the metric's name"""


class Standing(StrEnum):
    """How an item stands that has a truth."""

    ANSWERED = "answered"
    FAILED = "failed"
    """it has no answer and gets none: wrong"""
    OPEN = "open"
    """not answered yet: neither right nor wrong"""

    @classmethod
    def of(cls, item: ItemRow) -> Standing:
        if item.answer is not None:
            return cls.ANSWERED
        return cls.FAILED if item.state in _FAILED else cls.OPEN


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """An answer with the truth."""

    custom_id: str | None
    pictures: tuple[PictureRow, ...]
    question: str
    said: str
    right: Right
    scores: Scores

    def document(self) -> dict[str, object]:
        return {
            "custom_id": self.custom_id,
            "pictures": [picture.name for picture in self.pictures],
            "question": self.question,
            "answer": self.said,
            "truth": self.right.answers,
            "kind": self.right.kind,
            "scores": {name: round(score, 4) for name, score in self.scores.items()},
        }


@dataclass
class Kind:
    """The items of one kind."""

    answered: int = 0
    failed: int = 0
    sums: dict[str, float] = field(default_factory=dict)

    @property
    def items(self) -> int:
        return self.answered + self.failed

    def add(self, scores: Scores) -> None:
        self.answered += 1
        for name, score in scores.items():
            self.sums[name] = self.sums.get(name, 0.0) + score

    def score(self, metric: str, *, of_answered: bool = False) -> float | None:
        """The mean; what failed counts as wrong, unless only what was answered is asked about."""
        over = self.answered if of_answered else self.items
        return self.sums.get(metric, 0.0) / over if over else None


@dataclass
class Tally:
    """What all items come to."""

    metrics: tuple[Metric, ...]
    seen: int = 0
    open: int = 0
    reviewed: int = 0
    """answers that a person wrote"""
    all: Kind = field(default_factory=Kind)
    kinds: dict[str, Kind] = field(default_factory=dict)
    without: Some = field(default_factory=Some)
    """items about which the truth says nothing"""
    again: Some = field(default_factory=Some)
    """items whose truth another item had before"""
    foreign: Some = field(default_factory=Some)
    """truth about nothing that was asked"""
    imperfect: int = 0
    _used: set[Right] = field(default_factory=set)
    _worst: list[tuple[tuple[float, ...], int, Case]] = field(default_factory=list)

    def add(self, item: ItemRow, right: Right | None, score: Callable[[str, Right], Scores]) -> None:
        self.seen += 1
        if right is None:
            self.without.add(_name(item))
            return
        if right in self._used:
            self.again.add(_name(item))
        self._used.add(right)
        match Standing.of(item):
            case Standing.ANSWERED:
                self._mark(_case(item, right, score))
                self.reviewed += _is_reviewed(item)
            case Standing.FAILED:
                self.all.failed += 1
                self._kind(right).failed += 1
            case Standing.OPEN:
                self.open += 1

    def close(self, truth: Truth) -> None:
        """Look for the truth that no item had."""
        for right in truth.known:
            if right not in self._used:
                self.foreign.add(right.name)

    @property
    def worst(self) -> list[Case]:
        """The worst by the first metric, of those that are equally bad by the next."""
        return [case for *_, case in sorted(self._worst, key=lambda entry: entry[:2], reverse=True)]

    def _kind(self, right: Right) -> Kind:
        return self.kinds.setdefault(right.kind, Kind())

    def _mark(self, case: Case) -> None:
        self.all.add(case.scores)
        self._kind(case.right).add(case.scores)
        if case.scores[self.metrics[0].name] >= self.metrics[0].best:
            return
        self.imperfect += 1
        badness = tuple(-case.scores[metric.name] for metric in self.metrics)
        entry = (badness, -self.imperfect, case)  # of those that are equally bad, the first
        (heapq.heappush if len(self._worst) < KEPT else heapq.heappushpop)(self._worst, entry)


def evaluate(items: Callable[[], Iterable[ItemRow]], truth: Truth, metrics: Sequence[Metric]) -> Tally:
    """Mark the items. For metrics of captions they are read twice: the first time to see which truth is meant."""
    of_captions = any(metric.of_captions for metric in metrics)
    corpus = Corpus.of(right.answers for right in _meant(items(), truth)) if of_captions else Corpus()
    scorers = {metric.name: metric.scorer(corpus) for metric in metrics}

    def score(said: str, right: Right) -> Scores:
        return {name: scorer(said, right.answers) for name, scorer in scorers.items()}

    tally = Tally(tuple(metrics))
    for item in items():
        tally.add(item, truth.about(item), score)
    tally.close(truth)
    return tally


def _meant(items: Iterable[ItemRow], truth: Truth) -> Iterator[Right]:
    yield from {right for item in items if (right := truth.about(item))}


def _case(item: ItemRow, right: Right, score: Callable[[str, Right], Scores]) -> Case:
    assert item.answer is not None
    return Case(
        custom_id=item.custom_id,
        pictures=item.pictures,
        question=item.answer.question,
        said=item.answer.text,
        right=right,
        scores=score(item.answer.text, right),
    )


def _is_reviewed(item: ItemRow) -> bool:
    review = item.answer.review if item.answer else None
    return review is not None and review.text is not None


def _name(item: ItemRow) -> str:
    """The item's own id, else its pictures and its question."""
    pictures = ", ".join(picture.name.rpartition("/")[2] for picture in item.pictures)
    return item.custom_id or ": ".join(filter(None, (pictures, item.question))) or f"row {item.row}"
