"""Pairs: two models' answers to one request, side by side, and how far they part."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import zip_longest

from pipeline.evaluation.texts import exact
from pipeline.evaluation.truth import Truth
from pipeline.store.rows import ItemRow, PictureRow

KEPT = 200
"""of the answers that part, the least similar: for tables and pages"""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A request with what both models said."""

    pictures: tuple[PictureRow, ...]
    question: str
    said: tuple[str, str]
    truth: tuple[str, ...]
    """what is right to say; none where it is not known"""

    @property
    def equal(self) -> bool:
        return self.said[0] == self.said[1]

    @property
    def similarity(self) -> float:
        return similarity(*self.said)

    def right(self, side: int) -> bool:
        return bool(self.truth) and exact(self.said[side], self.truth) == 1

    @property
    def told(self) -> str:
        """The truth as a person reads it."""
        return " | ".join(dict.fromkeys(self.truth))

    def document(self) -> dict[str, object]:
        return {
            "pictures": [picture.name for picture in self.pictures],
            "question": self.question,
            "answers": self.said,
            "truth": self.told or None,
            "similarity": round(self.similarity, 4),
        }


def similarity(one: str, other: str) -> float:
    """The share of words, in order, that two texts have in common: difflib's ratio over words, 0 to 1."""
    return SequenceMatcher(None, one.split(), other.split(), autojunk=False).ratio()


@dataclass
class Tally:
    """What all pairs come to. They are counted as they pass; only the least similar are kept."""

    compared: int = 0
    equal: int = 0
    left_out: int = 0
    """requests that one model has no answer to"""
    with_truth: int = 0
    right: list[int] = field(default_factory=lambda: [0, 0])
    _pictures: set[int] = field(default_factory=set)
    """hashes of their locators: of a million, the texts would fill the memory"""
    _similarities: float = 0.0
    _worst: list[tuple[float, int, Pair]] = field(default_factory=list)

    @property
    def pictures(self) -> int:
        return len(self._pictures)

    def see(self, item: ItemRow) -> None:
        self._pictures.update(hash(picture.locator) for picture in item.pictures)

    def add(self, pair: Pair) -> None:
        self.compared += 1
        self.equal += pair.equal
        alike = pair.similarity
        self._similarities += alike
        if pair.truth:
            self.with_truth += 1
            for side in (0, 1):
                self.right[side] += pair.right(side)
        if not pair.equal:
            entry = (-alike, -self.compared, pair)  # of those that are equally far apart, the first
            (heapq.heappush if len(self._worst) < KEPT else heapq.heappushpop)(self._worst, entry)

    @property
    def mean_similarity(self) -> float | None:
        return self._similarities / self.compared if self.compared else None

    @property
    def equal_share(self) -> float | None:
        return self.equal / self.compared if self.compared else None

    def accuracy(self, side: int) -> float | None:
        return self.right[side] / self.with_truth if self.with_truth else None

    @property
    def worst(self) -> list[Pair]:
        """The pairs that part, the least similar first."""
        return [pair for *_, pair in sorted(self._worst, key=lambda entry: (-entry[0], -entry[1]))]


def count(one: Iterable[ItemRow], other: Iterable[ItemRow], truth: Truth) -> Tally:
    """The tally of two batches that asked the same."""
    tally = Tally()
    for a, b in zip_longest(one, other):
        tally.see(a or b)
        if pair := _pair(a, b, truth):
            tally.add(pair)
        else:
            tally.left_out += 1
    return tally


def _pair(one: ItemRow | None, other: ItemRow | None, truth: Truth) -> Pair | None:
    if not (one and other and one.answer and other.answer and _request(one) == _request(other)):
        return None
    right = truth.about(one)
    return Pair(
        pictures=one.pictures,
        question=one.answer.question,
        said=(one.answer.model_text, other.answer.model_text),
        truth=right.answers if right else (),
    )


def _request(item: ItemRow) -> tuple[list[str], str | None]:
    return [picture.locator for picture in item.pictures], item.question
