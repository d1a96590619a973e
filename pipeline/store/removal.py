"""Removal: jobs go with all that belongs to them, in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from pipeline.jobs import State
from pipeline.store.dialects import IDS, any_of
from pipeline.store.moves import THESE
from pipeline.store.wanted import Condition
from pipeline.tables import answers, batch_items, followups, jobs, prompts, reviews

_DURATIONS = ("queue_s", "read_s", "vision_s", "first_token_s", "total_s")
_THEIRS = any_of(answers.c.job_id, IDS)
_ANSWERS = sa.select(answers.c.id).where(_THEIRS)
_REVIEWS = reviews.delete().where(reviews.c.answer_id.in_(_ANSWERS))

_copy = answers.alias()
_COPIES = (
    sa.select(_copy.c.id, _copy.c.cached_from, *(answers.c[name] for name in _DURATIONS))
    .join(answers, answers.c.id == _copy.c.cached_from)
    .where(_THEIRS, ~any_of(_copy.c.job_id, IDS))
    .order_by(_copy.c.id)
)
_LINK = answers.update().where(answers.c.id == sa.bindparam("copy"))
_FOLLOW = _LINK.values(cached_from=sa.bindparam("origin", type_=sa.BigInteger))
_PROMOTE = _LINK.values(cached_from=None, **{name: sa.bindparam(name, type_=sa.Double) for name in _DURATIONS})

_JOBS = jobs.delete().where(THESE).returning(jobs.c.prompt_id)
IS_UNUSED: Condition = sa.and_(
    ~sa.exists().where(jobs.c.prompt_id == prompts.c.id), ~sa.exists().where(followups.c.prompt_id == prompts.c.id)
)
"""no job asks the prompt, nor will one"""
_PROMPTS = prompts.delete().where(any_of(prompts.c.id, IDS), IS_UNUSED)

IS_REVIEWED: Condition = reviews.c.answer_id == sa.func.coalesce(answers.c.cached_from, answers.c.id)
"""a person looked at the answer, or at the one it is a copy of"""
_reviewed = sa.exists().where(answers.c.job_id == jobs.c.id, IS_REVIEWED)
IS_UNLISTED: Condition = sa.and_(
    ~sa.exists().where(batch_items.c.job_id == jobs.c.id),
    jobs.c.state.in_((State.DONE, State.FAILED, State.CANCELLED)),
    ~_reviewed,
)
"""the job has ended, no batch lists it, and no person has looked at what it was answered"""
_UNLISTED = sa.select(jobs.c.id).where(THESE, IS_UNLISTED).order_by(jobs.c.id).with_for_update(of=jobs)


def remove(connection: sa.Connection, ids: Collection[int]) -> None:
    """Jobs, their answers, what was said about these, and the prompts that nothing else asks.

    Whoever removes them has removed their items. Other jobs keep answers that were copied from theirs.
    """
    if not ids:
        return
    given = {"ids": ids}
    _let_copies_be(connection, connection.execute(_COPIES, given).all())
    connection.execute(_REVIEWS, given)
    connection.execute(answers.delete().where(_THEIRS), given)
    remove_prompts(connection, connection.execute(_JOBS, given).scalars())


def remove_prompts(connection: sa.Connection, ids: Iterable[int]) -> None:
    """Those of the prompts that nothing asks any more."""
    connection.execute(_PROMPTS, {"ids": set(ids)})


def remove_unlisted(connection: sa.Connection, ids: Iterable[int]) -> int:
    """Those of the jobs that are nobody's any more. Returns how many."""
    found = connection.execute(_UNLISTED, {"ids": list(ids)}).scalars().all()
    remove(connection, found)
    return len(found)


def _let_copies_be(connection: sa.Connection, copies: Sequence[sa.Row[Any]]) -> None:
    """The first copy takes its origin's place, and tells what the answer cost; the others are copies of that."""
    first: dict[int, int] = {}
    for row in copies:
        if row.cached_from not in first:
            first[row.cached_from] = row.id
            connection.execute(_PROMOTE, {"copy": row.id, **{name: getattr(row, name) for name in _DURATIONS}})
        else:
            connection.execute(_FOLLOW, {"copy": row.id, "origin": first[row.cached_from]})
