"""Transactions: how the store and its parts reach the database, and the time they go by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from pipeline.complaints import translated
from pipeline.database import WRITES
from pipeline.store import dialects


class Transactions:
    """Transactions of one database."""

    def __init__(self, engine: sa.Engine, clock: Callable[[], float] | None) -> None:
        self.engine = engine
        self._writer = engine.execution_options(**{WRITES: True})
        self._clock = clock

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that only reads."""
        with translated(self.engine.url), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self, *, alone: bool = False, may_be_lost: bool = False) -> Iterator[tuple[sa.Connection, float]]:
        """A transaction that writes, and its time. `alone`: no other changes what batches want meanwhile."""
        with translated(self.engine.url), self._writer.begin() as connection:
            now = dialects.begin(connection, alone=alone, may_be_lost=may_be_lost)
            yield connection, now if self._clock is None else self._clock()

    def now(self, connection: sa.Connection) -> float:
        """The time: the injected clock's, else the database's own."""
        return self._clock() if self._clock is not None else dialects.now(connection)


class Part:
    """A part of the store. Each of its methods is a transaction or a few."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions, self._engine = transactions, transactions.engine
        self._reading, self._writing, self._now = transactions.reading, transactions.writing, transactions.now
