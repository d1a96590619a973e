"""CIDEr: how much of what people say about a picture, and of few others, a caption says too.

Runs of one to four words are weighed by how rare they are among the pictures' captions (TF-IDF), and a caption's
score is the mean cosine to the truth's, times ten (Vedantam, Zitnick and Parikh, 2015). CIDEr-D, which the captioning
evaluation calls CIDEr, takes off what is said more often than by people, and what is much longer or shorter.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from sys import intern
from typing import Self

from pipeline.evaluation.words import words

LONGEST = 4
"""words of a run"""
SIGMA = 6.0
"""of the penalty for another length, in words"""
SCALE = 10.0

Run = tuple[str, ...]
Product = Callable[[float, float], float]


@dataclass(frozen=True, slots=True)
class Vector:
    """A caption as weights of its runs, by their length."""

    weights: tuple[dict[Run, float], ...]
    norms: tuple[float, ...]
    length: int


class Corpus:
    """The truth about all pictures: which runs of words are rare."""

    def __init__(self) -> None:
        self._pictures = 0
        self._having: Counter[Run] = Counter()
        # Each metric wants the vectors of the same answer and truth, one after the other.
        self.vector = lru_cache(maxsize=64)(self._vector)

    @classmethod
    def of(cls, truths: Iterable[Sequence[str]]) -> Self:
        """The captions of each picture."""
        corpus = cls()
        for captions in truths:
            corpus._pictures += 1
            # Interned: 200,000 captions hold two million words, but few different ones.
            said = ([*map(intern, words(caption))] for caption in captions)
            corpus._having.update({run for one in said for run in _runs(one)})
        return corpus

    def _vector(self, text: str) -> Vector:
        said = words(text)
        weights: tuple[dict[Run, float], ...] = tuple({} for _ in range(LONGEST))
        for run, count in Counter(_runs(said)).items():
            weights[len(run) - 1][run] = count * self._weight(run)
        norms = tuple(math.sqrt(sum(weight * weight for weight in one.values())) for one in weights)
        # The evaluation counts pairs of words.
        return Vector(weights, norms, max(len(said) - 1, 0))

    def _weight(self, run: Run) -> float:
        return math.log(self._pictures / max(1, self._having[run]))


def cider(said: str, answers: Sequence[str], corpus: Corpus) -> float:
    return _mean(_cosine(*pair) for pair in _pairs(said, answers, corpus))


def cider_d(said: str, answers: Sequence[str], corpus: Corpus) -> float:
    return _mean(_clipped(*pair) * _penalty(*pair) for pair in _pairs(said, answers, corpus))


def _runs(said: Sequence[str]) -> Iterator[Run]:
    for length in range(1, LONGEST + 1):
        yield from (tuple(said[start : start + length]) for start in range(len(said) - length + 1))


def _pairs(said: str, answers: Sequence[str], corpus: Corpus) -> Iterator[tuple[Vector, Vector]]:
    return ((corpus.vector(said), corpus.vector(answer)) for answer in answers)


def _mean(scores: Iterable[float]) -> float:
    found = list(scores)
    return SCALE * sum(found) / len(found)


def _cosine(one: Vector, other: Vector) -> float:
    return _products(one, other, lambda mine, its: mine * its)


def _clipped(one: Vector, other: Vector) -> float:
    return _products(one, other, lambda mine, its: min(mine, its) * its)


def _products(one: Vector, other: Vector, product: Product) -> float:
    """The mean over the lengths of runs."""
    total = 0.0
    for mine, its, norm, its_norm in zip(one.weights, other.weights, one.norms, other.norms, strict=True):
        if norm and its_norm:
            total += sum(product(weight, its[run]) for run, weight in mine.items() if run in its) / (norm * its_norm)
    return total / LONGEST


def _penalty(one: Vector, other: Vector) -> float:
    return math.exp(-((one.length - other.length) ** 2) / (2 * SIGMA**2))
