"""Reviews: what people say about answers. Answers stay as the model gave them.

A review stands with the answer it was copied from, if it was, so that all copies share it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from pipeline.store import searching
from pipeline.store.current import origin
from pipeline.store.dialects import IDS, any_of, insert_rows
from pipeline.tables import answers, reviews


class Verdict(StrEnum):
    """What a person thinks of an answer."""

    RIGHT = "right"
    WRONG = "wrong"
    CORRECTED = "corrected"
    """with the text that counts in its place"""


class Outcome(StrEnum):
    """What became of a review."""

    STORED = "stored"
    KNOWN = "known"
    """the same was said last"""
    UNKNOWN = "unknown"
    """there is no such answer"""
    DOUBLED = "doubled"
    """something else was said about the same answer at the same time"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Review:
    """What a person says about an answer; a text is what counts in place of the model's."""

    answer: int
    verdict: Verdict
    text: str | None = None
    by: str | None = None


_ORIGINS = sa.select(answers.c.id, origin.label("origin")).where(any_of(answers.c.id, IDS))
# Whoever copies an answer holds its origin against this lock, so that each copy is seen here or sees what is said here.
_LOCKED = sa.select(answers.c.id).where(any_of(answers.c.id, IDS)).order_by(answers.c.id).with_for_update()
_SAID = sa.select(reviews).where(any_of(reviews.c.answer_id, IDS)).order_by(reviews.c.id)
_SHARING = sa.select(answers.c.id).where(
    sa.or_(answers.c.id == sa.bindparam("origin"), answers.c.cached_from == sa.bindparam("origin"))
)
_COLUMNS = ("answer_id", "verdict", "text", "reviewer", "created")


def add(connection: sa.Connection, said: Sequence[Review], seen: dict[int, Review], now: float) -> list[Outcome]:
    """Store reviews, unless the same was said last. Returns what became of each.

    `seen` is what was said before in the same breath, such as further up in a file, by the answer; it grows.
    """
    found = {row.id: row.origin for row in connection.execute(_ORIGINS, {"ids": {one.answer for one in said}})}
    there = set(connection.execute(_LOCKED, {"ids": set(found.values())}).scalars())
    origins = {id: shared for id, shared in found.items() if shared in there}
    last = _last(connection, there)
    new: dict[int, Review] = {}
    outcomes = []
    for one in said:
        shared = origins.get(one.answer)
        outcomes.append(Outcome.UNKNOWN if shared is None else _outcome(one, shared, seen, last))
        if shared is not None:
            seen.setdefault(shared, one)
            if outcomes[-1] is Outcome.STORED:
                new[shared] = one
    _insert(connection, new, now)
    return outcomes


def _last(connection: sa.Connection, origins: Collection[int]) -> dict[tuple[int, bool], str]:
    """What was said last about each answer: the verdict, and by another key the text."""
    rows = connection.execute(_SAID, {"ids": origins}).all()
    return {(row.answer_id, row.text is not None): row.verdict if row.text is None else row.text for row in rows}


def _outcome(one: Review, shared: int, seen: Mapping[int, Review], last: Mapping[tuple[int, bool], str]) -> Outcome:
    if (before := seen.get(shared)) is not None:
        return Outcome.KNOWN if (before.verdict, before.text) == (one.verdict, one.text) else Outcome.DOUBLED
    saying = one.verdict if one.text is None else one.text
    return Outcome.KNOWN if last.get((shared, one.text is not None)) == saying else Outcome.STORED


def _insert(connection: sa.Connection, new: Mapping[int, Review], now: float) -> None:
    rows = [(shared, one.verdict.value, one.text, one.by, now) for shared, one in new.items()]
    insert_rows(connection, reviews, _COLUMNS, rows)
    for shared, one in new.items():
        if one.text is not None:
            ids = connection.execute(_SHARING, {"origin": shared}).scalars().all()
            searching.replace(connection, ids, one.text)
