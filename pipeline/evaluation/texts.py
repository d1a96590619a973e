"""Texts beside texts: the same or not (exact match), and how many letters apart (ANLS)."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

THRESHOLD = 0.5
"""of ANLS: what has half of its letters wrong is another word, not a misread one"""


def exact(said: str, answers: Sequence[str]) -> float:
    """1 if it is one of the answers: case, blanks and the punctuation around do not count."""
    return float(any(is_same(said, answer) for answer in answers))


def is_same(one: str, other: str) -> bool:
    return one == other or _plain(one) == _plain(other)


def anls(said: str, answers: Sequence[str]) -> float:
    """Average normalised Levenshtein similarity of one answer, as ST-VQA and DocVQA define it: the best of all."""
    return max(_likeness(_lower(said), _lower(answer)) for answer in answers)


def _likeness(one: str, other: str) -> float:
    longer = max(len(one), len(other))
    if not longer or one == other:
        return 1.0
    if abs(len(one) - len(other)) >= THRESHOLD * longer:
        return 0.0  # so many letters at least are missing: there is no need to look at them
    apart = distance(one, other) / longer
    return 1 - apart if apart < THRESHOLD else 0.0


def distance(one: str, other: str) -> int:
    """Levenshtein's: how many letters to put in, leave out or change."""
    row = list(range(len(other) + 1))
    for number, letter in enumerate(one, 1):
        above, row[0] = row[0], number
        for place, its in enumerate(other, 1):
            above, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, above + (letter != its))
    return row[-1]


def _lower(text: str) -> str:
    return " ".join(text.lower().split())


def _plain(text: str) -> str:
    words = unicodedata.normalize("NFKC", text).casefold().split()
    return " ".join(words).strip(" .,;:!?\"'")
