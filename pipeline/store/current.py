"""Which answer of a job counts: the one a person corrected last, else the newest."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from pipeline.tables import answers, reviews


def current(job_id: sa.Column[int]) -> sa.ColumnElement[int]:
    """The id of the job's current answer, or NULL. Look-ups in indexes, whatever the history's length."""
    mine = answers.alias()
    corrected = (
        sa.select(mine.c.id)
        .select_from(reviews)
        .join(mine, _origin(mine) == reviews.c.answer_id)
        .where(mine.c.job_id == job_id, reviews.c.text.is_not(None))
        .order_by(reviews.c.id.desc(), mine.c.claim_token.desc())
    )
    own = answers.alias()
    newest = sa.select(own.c.id).where(own.c.job_id == job_id).order_by(own.c.claim_token.desc())
    return sa.func.coalesce(_first(corrected, job_id), _first(newest, job_id))


def _first(query: sa.Select[Any], job_id: sa.Column[int]) -> sa.ScalarSelect[Any]:
    return query.limit(1).correlate(job_id.table).scalar_subquery()


def _origin(answer: sa.FromClause) -> sa.ColumnElement[int]:
    """The answer that it was copied from, else itself: reviews stand there, and so all copies share them."""
    return sa.func.coalesce(answer.c.cached_from, answer.c.id)


origin = _origin(answers)
_said = sa.select(reviews.c.text).where(reviews.c.answer_id == origin, reviews.c.text.is_not(None))
_correction = _said.order_by(reviews.c.id.desc()).limit(1).correlate(answers).scalar_subquery()
text: sa.ColumnElement[str] = sa.func.coalesce(_correction, answers.c.text)
"""an answer's text as it counts: a reviewer's, else the model's"""

_judged = sa.select(reviews.c.verdict).where(reviews.c.answer_id == origin)
_judged = _judged.order_by(reviews.c.text.is_not(None).desc(), reviews.c.id.desc())
verdict: sa.ColumnElement[str] = _judged.limit(1).correlate(answers).scalar_subquery()
"""what a person thought of an answer: of what was said last, a correction before a mere verdict"""
