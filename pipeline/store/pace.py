"""Pace: how quickly a model answered here of late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from pipeline.tables import answers, jobs

SAMPLE = 2_000
"""so many of the newest answers tell the pace"""
_LOOKED_AT = 20_000
"""and among so many they are looked for, whatever model gave them"""

_NEWEST = sa.select(answers.c.job_id, answers.c.created, answers.c.total_s, answers.c.cached_from)
_newest = _NEWEST.order_by(answers.c.id.desc()).limit(_LOOKED_AT).subquery()
_OF_MODEL = (
    sa.select(_newest.c.created, _newest.c.total_s)
    .join(jobs, jobs.c.id == _newest.c.job_id)
    .where(jobs.c.model == sa.bindparam("model"), _newest.c.cached_from.is_(None))
    .order_by(_newest.c.created.desc())
    .limit(SAMPLE)
)


@dataclass(frozen=True, slots=True)
class Pace:
    """How many answers a second, over how many."""

    rate: float
    answers: int


def pace(connection: sa.Connection, model: str) -> Pace | None:
    """The pace while the model was at work; none when it has answered nothing yet."""
    found = [(created, total) for created, total in connection.execute(_OF_MODEL, {"model": model})]
    busy = _busy(found[::-1])
    return Pace(len(found) / busy, len(found)) if busy else None


def _busy(found: Sequence[tuple[float, float]]) -> float:
    """How long it took to give these answers, the oldest first, without the times when there was nothing to do.

    Nobody waits longer for the next answer than an answer takes, unless nothing is asked.
    """
    longest = max((total for _, total in found), default=0.0)
    busy, before = 0.0, float("-inf")
    for created, total in found:
        gap = created - before
        busy += gap if gap <= longest else total
        before = created
    return busy
