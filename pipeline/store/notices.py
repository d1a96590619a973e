"""Notices: who is to be told that a batch has ended. At least once each: what was sent and not noted is sent again.

    waiting -> sending -> sent | waiting (later) | failed (too often)

Each arrow is one conditional UPDATE, so that of any number of programs one sends at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from pipeline.store.dialects import insert, plain
from pipeline.store.transactions import Part
from pipeline.tables import batches, notices

LEASE_S = 900.0
"""who has begun to send and was not heard of for so long is gone"""
TRIES = 10
FIRST_PAUSE_S = 10.0
LONGEST_PAUSE_S = 3600.0


class Kind(StrEnum):
    """How somebody is told."""

    URL = "url"
    COMMAND = "command"


class NoticeState(StrEnum):
    """How a notice stands."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """One who is to be told of one batch."""

    id: int
    batch: str
    kind: Kind
    target: str
    state: NoticeState
    tries: int
    error: str | None


_OPEN = (NoticeState.WAITING, NoticeState.SENDING)
_NOTICES = sa.select(notices, batches.c.name).join(batches, batches.c.id == notices.c.batch_id).order_by(notices.c.id)
_DUE = _NOTICES.where(notices.c.state.in_(_OPEN), notices.c.due <= sa.bindparam("now"), batches.c.finished.is_not(None))


class Notices(Part):
    """The notices of a store. Each method is one transaction."""

    def want(self, batch: int, whom: Collection[tuple[Kind, str]]) -> None:
        """They are told when the batch ends; also those that were told when it ended before."""
        with self._writing() as (connection, _):
            for kind, target in whom:
                row = {"batch_id": batch, "kind": kind, "target": target}
                anew = {"state": NoticeState.WAITING, "tries": 0, "due": 0.0, "error": None}
                made = insert(connection, notices).values(**row, **anew)
                connection.execute(made.on_conflict_do_update(index_elements=list(row), set_=anew))

    def due(self, batch: int | None = None) -> list[Notice]:
        """What is to be sent now, of one batch or of all."""
        query = _DUE if batch is None else _DUE.where(notices.c.batch_id == batch)
        with self._reading() as connection:
            return [_notice(row) for row in connection.execute(query, {"now": self._now(connection)})]

    def of(self, batch: str) -> Sequence[Notice]:
        """Who is told of a batch, and how that stands."""
        with self._reading() as connection:
            return [_notice(row) for row in connection.execute(_NOTICES.where(batches.c.name == batch))]

    def take(self, notice: Notice) -> bool:
        """Whether this program is the one to send it now."""
        same = sa.and_(notices.c.id == notice.id, notices.c.state == notice.state, notices.c.tries == notice.tries)
        with self._writing() as (connection, now):
            taken = {"state": NoticeState.SENDING, "tries": notice.tries + 1, "due": now + LEASE_S}
            return bool(connection.execute(notices.update().where(same).values(taken)).rowcount)

    def sent(self, notice: Notice) -> None:
        """It was received."""
        with self._writing() as (connection, _):
            connection.execute(_taken(notice).values(state=NoticeState.SENT, error=None))

    def not_sent(self, notice: Notice, why: str, *, for_good: bool) -> None:
        """It was not received: it is tried later, unless that was often enough or can never help."""
        over = for_good or notice.tries + 1 >= TRIES
        pause = min(FIRST_PAUSE_S * 2**notice.tries, LONGEST_PAUSE_S)
        with self._writing() as (connection, now):
            state = NoticeState.FAILED if over else NoticeState.WAITING
            connection.execute(_taken(notice).values(state=state, due=now + pause, error=plain(why)))


def _taken(notice: Notice) -> sa.Update:
    """The row, if it is still in the hands of who took it."""
    mine = sa.and_(notices.c.state == NoticeState.SENDING, notices.c.tries == notice.tries + 1)
    return notices.update().where(notices.c.id == notice.id, mine)


def _notice(row: sa.Row[Any]) -> Notice:
    return Notice(
        id=row.id,
        batch=row.name,
        kind=Kind(row.kind),
        target=row.target,
        state=NoticeState(row.state),
        tries=row.tries,
        error=row.error,
    )
