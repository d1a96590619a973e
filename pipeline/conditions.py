"""A condition: what an earlier answer about the same row must be for a question to be asked."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

_AROUND = " .,;:!?'\"`*()[]“”‘’«»。、！？「」"
"""what models put around a word: "Yes." and "yes" are one answer"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """An earlier answer is one of these values, or contains one of them."""

    ask: int
    """which question of the row was answered"""
    values: tuple[str, ...]
    contains: bool = False

    def holds(self, answer: str) -> bool:
        """Whether the answer fits. Capitals, spaces and, unless a part is looked for, the punctuation around do not
        matter."""
        spelled = _spelled(answer)
        if self.contains:
            return any(_spelled(value) in spelled for value in self.values)
        return any(_bare(_spelled(value)) == _bare(spelled) for value in self.values)

    def data(self) -> list[Any]:
        """As it is stored."""
        return [self.ask, "contains" if self.contains else "is", list(self.values)]

    @classmethod
    def from_data(cls, data: Sequence[Any]) -> Self:
        ask, test, values = data
        return cls(ask=ask, values=tuple(values), contains=test == "contains")


def verdict(conditions: Iterable[Condition], answers: Mapping[int, str | None]) -> bool | None:
    """Whether all conditions hold; none while that depends on a question that has no answer yet (None in `answers`).

    A question that was not asked is not in `answers`: what depends on it is not asked either.
    """
    known: bool | None = True
    for condition in conditions:
        answer = answers.get(condition.ask)
        if condition.ask not in answers or (answer is not None and not condition.holds(answer)):
            return False
        known = None if answer is None else known
    return known


def _spelled(text: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())


def _bare(text: str) -> str:
    return text.strip(_AROUND) or text
