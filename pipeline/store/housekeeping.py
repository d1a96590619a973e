"""What is old or unwanted goes: each step is a transaction, so that others go on between two of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from pipeline.errors import BatchLive, PictureRunning
from pipeline.jobs import BatchState
from pipeline.locators import BLOB
from pipeline.store import forgetting, pruning, scrubbing, space
from pipeline.store.forgetting import Found, Wanted
from pipeline.store.pruning import KINDS, STEP
from pipeline.store.transactions import Part
from pipeline.store.wanted import UNFINISHED
from pipeline.tables import batches, job_images


class Housekeeping(Part):
    """A store's way to remove things."""

    def now(self) -> float:
        """The database's time."""
        with self._reading() as connection:
            return self._now(connection)

    @property
    def is_there(self) -> bool:
        """Whether there is a database yet."""
        return self._engine.url.database is not None

    # --- pruning ---------------------------------------------------------------------------------

    def count(self, kind: str, before: float) -> dict[str, int]:
        """How much of a kind would go."""
        with self._reading() as connection:
            return KINDS[kind].count(connection, before)

    def prune(self, kind: str, before: float) -> Iterator[int]:
        """Remove a kind step by step; each says how many rows it removed."""
        after: Any = 0
        while True:
            with self._reading() as connection:
                found = KINDS[kind].find(connection, before, after)
            if not found:
                return
            with self._writing(alone=True) as (connection, _):
                gone = KINDS[kind].remove(connection, before, found)
            yield gone
            after = found[-1]

    def contents(self, batch: int) -> dict[str, int]:
        """What would go with a batch."""
        with self._reading() as connection:
            return pruning.contents(connection, [batch])

    def remove_batch(self, batch: int, name: str) -> Iterator[int]:
        """Remove a batch that has ended, step by step. Raises BatchLive."""
        while True:
            with self._writing(alone=True) as (connection, _):
                self._check_ended(connection, batch, name)
                gone = pruning.remove_page(connection, batch)
            if not gone:
                return
            yield gone

    def _check_ended(self, connection: sa.Connection, batch: int, name: str) -> None:
        state = connection.execute(sa.select(batches.c.state).where(batches.c.id == batch)).scalar_one_or_none()
        if state in UNFINISHED:
            raise BatchLive(name=name, state=BatchState(state).replace("_", " "))

    def watched(self, before: float) -> Iterator[list[tuple[int, str]]]:
        """Records of watched files that nothing has happened to since, some at a time: (watch, locator)."""
        after = (-1, "")
        while True:
            with self._reading() as connection:
                found = pruning.watched(connection, before, after)
            if not found:
                return
            yield found
            after = found[-1]

    def remove_watched(self, before: float, records: Sequence[tuple[int, str]]) -> int:
        with self._writing() as (connection, _):
            return pruning.remove_watched(connection, before, records)

    def named_blobs(self, digests: Sequence[str]) -> set[str]:
        """Those of the blobs that jobs name."""
        names = [BLOB + digest for digest in digests]
        with self._reading() as connection:
            found = connection.execute(sa.select(job_images.c.locator).where(job_images.c.locator.in_(names)))
            return {name.removeprefix(BLOB) for name in found.scalars()}

    # --- forgetting ------------------------------------------------------------------------------

    def digests_like(self, digits: str) -> set[bytes]:
        """The digests of pictures that begin with these hexadecimal digits."""
        with self._reading() as connection:
            return forgetting.digests_like(connection, digits)

    def find(self, wanted: Wanted) -> Found:
        """What is known of pictures that are to be forgotten."""
        with self._reading() as connection:
            return forgetting.find(connection, wanted)

    def forget(self, found: Found) -> Iterator[int]:
        """Forget it, step by step; each says how many jobs went. Raises PictureRunning."""
        with self._writing(alone=True) as (connection, _):
            forgetting.unname(connection, found)
        ids = found.jobs
        for start in range(0, max(len(ids), 1), STEP):
            some = ids[start : start + STEP]
            with self._writing(alone=True) as (connection, _):
                if not forgetting.forget_jobs(connection, some):
                    raise PictureRunning(batches=", ".join(self.find(found.wanted).running))
                if start + STEP >= len(ids):  # with the last jobs, which alone lead to what was read
                    forgetting.forget_digests(connection, found.digests)
            yield len(some)

    # --- room ------------------------------------------------------------------------------------

    def room(self) -> space.Room | None:
        """How the embedded database's file stands; none for a server."""
        return space.room(self._engine)

    def give_back(self) -> Iterator[None]:
        """Make the file smaller, step by step."""
        return space.give_back(self._engine)

    def rewrite(self) -> bool:
        """Write the file anew without what is free in it. False when its log could not be emptied."""
        return space.rewrite(self._engine)

    def scrub(self) -> bool:
        """Leave nothing of what was forgotten in the database's files. False when others held them for too long."""
        return scrubbing.scrub(self._engine)

    def mark(self) -> None:
        """Something is being forgotten: the database's files are to be scrubbed, also if the program is killed."""
        scrubbing.mark(self._engine)

    def is_marked(self) -> bool:
        """Whether they are to be scrubbed still."""
        return scrubbing.is_marked(self._engine)
