"""The store: the only room with SQL. Each method is one transaction, so a killed program leaves nothing half-done.

The methods are thin; what happens is in the modules beside this one, as functions of a connection.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pipeline.jobs import Answer, BatchState, CacheHit, Claim, Failure, Item, Lane, State
from pipeline.owner import Owner
from pipeline.store import (
    batches,
    builds,
    claims,
    endings,
    followups,
    leases,
    requeueing,
    reviews,
    submission,
    tickets,
    verifications,
)
from pipeline.store.reviews import Outcome, Review
from pipeline.store.rows import VerificationRow
from pipeline.store.transactions import Transactions
from pipeline.store.values import (
    Added,
    AliasRow,
    BuildFacts,
    Counts,
    InvalidRow,
    KnownBuild,
    Lease,
    Moved,
    OpenBatch,
    Ticket,
)

if TYPE_CHECKING:
    from pipeline.store.firings import Firings
    from pipeline.store.housekeeping import Housekeeping
    from pipeline.store.notices import Notices
    from pipeline.store.schedules import Schedules
    from pipeline.store.views import Views
    from pipeline.store.watches import Watches

__all__ = ["Added", "AliasRow", "BuildFacts", "Counts", "InvalidRow", "KnownBuild", "OpenBatch", "Store", "Ticket"]


class Store:
    """Jobs and all that belongs to them, in a database.

    Any number of threads and processes may use stores of one database at once.
    """

    def __init__(self, engine: sa.Engine, *, clock: Callable[[], float] | None = None) -> None:
        self._engine = engine
        parts = self._transactions = Transactions(engine, clock)
        self.reading, self._writing, self.now = parts.reading, parts.writing, parts.now
        self._prompts = claims.Prompts()
        self._follows = False  # whether answers may lead to other questions, when that was looked at last

    def close(self) -> None:
        """Close the connections. The store can be used again; it opens new ones."""
        self._engine.dispose()

    # --- its parts -------------------------------------------------------------------------------

    @functools.cached_property
    def views(self) -> Views:
        """What people read."""
        from pipeline.store.views import Views

        return Views(self)

    @functools.cached_property
    def watches(self) -> Watches:
        """What watchers know of their folders."""
        from pipeline.store.watches import Watches

        return Watches(self._transactions)

    @functools.cached_property
    def housekeeping(self) -> Housekeeping:
        """What is old or unwanted, and goes."""
        from pipeline.store.housekeeping import Housekeeping

        return Housekeeping(self._transactions)

    # --- batches ---------------------------------------------------------------------------------

    def open_batch(
        self,
        name: str | None,
        *,
        origin: str,
        spec: Mapping[str, Any],
        lane: Lane = Lane.NORMAL,
        deadline: float | None = None,
        window: str | None = None,
    ) -> OpenBatch:
        """A new batch (with a generated name if none is given), or the known one when the same command made it.

        Raises BatchTaken when another command made it.
        """
        terms = batches.BatchTerms(origin=origin, spec=spec, lane=lane, deadline=deadline, window=window)
        with self._writing(alone=True) as (connection, now):
            return batches.open_batch(connection, name, terms, now)

    def add(self, batch_id: int, items: Sequence[Item], *, force: bool = False) -> Added:
        """Make, link or requeue the job of each item. Callers hand over some thousand items at a time."""
        with self._writing(alone=True) as (connection, now):
            return submission.add(connection, batch_id, items, now, force=force)

    def rehearse(self, items: Sequence[Item], *, force: bool = False) -> Added:
        """What `add` would do."""
        with self.reading() as connection:
            return submission.rehearse(connection, items, force=force)

    def add_invalid(self, batch_id: int, rows: Sequence[InvalidRow]) -> None:
        """Note the rows that could not become a job."""
        with self._writing(alone=True) as (connection, now):
            submission.add_invalid(connection, batch_id, rows, now)

    def seal(self, batch_id: int, rows: int) -> None:
        """The submission is complete and had this many rows."""
        with self._writing(alone=True) as (connection, now):
            batches.seal(connection, batch_id, rows, now)
            followups.forget_beyond(connection, batch_id, rows)

    def settle(self) -> list[int]:
        """End batches that are complete or past their deadline. Returns which."""
        # Asked first without writing: this is called often and rarely finds one.
        with self.reading() as connection:
            if not batches.ending(connection, self.now(connection)):
                return []
        with self._writing(alone=True) as (connection, now):
            return batches.settle(connection, now)

    def set_batch_state(self, batch_id: int, state: BatchState) -> Moved | None:
        """Pause, resume (IN_PROGRESS) or cancel a batch. None when it has ended, or stands there already."""
        with self._writing(alone=True) as (connection, now):
            return batches.set_state(connection, batch_id, state, now)

    @functools.cached_property
    def schedules(self) -> Schedules:
        """Clocks that start commands."""
        from pipeline.store.schedules import Schedules

        return Schedules(self._transactions)

    @functools.cached_property
    def firings(self) -> Firings:
        """What became of each of their times."""
        from pipeline.store.firings import Firings

        return Firings(self._transactions)

    @functools.cached_property
    def notices(self) -> Notices:
        """Who is told that batches have ended."""
        from pipeline.store.notices import Notices

        return Notices(self._transactions)

    # --- tickets ---------------------------------------------------------------------------------

    def tickets(
        self,
        model: str,
        *,
        size: int = 16,
        count: int | Mapping[Lane, int] = 1,
        batch: int | None = None,
        again: bool = False,
    ) -> list[Ticket]:
        """Jobs to run next, in groups: `count` of each lane at most.

        `again` hands out also those that were handed out a moment ago.
        """
        counts = dict.fromkeys(Lane, count) if isinstance(count, int) else count
        wish = tickets.Wish(model=model, size=size, counts=counts, batch=batch, again=again)
        with self._writing(alone=True, may_be_lost=True) as (connection, now):
            batches.turn_windows(connection, now)
            return tickets.tickets(connection, wish, now)

    # --- running ---------------------------------------------------------------------------------

    def claim(self, ids: Iterable[object], worker: int) -> list[Claim]:
        """Those of the jobs that the worker may run now; they are its own from here on."""
        with self._writing(may_be_lost=True) as (connection, now):
            return claims.claim(connection, ids, worker, self._prompts, now)

    def cached(self, keys: Collection[bytes]) -> dict[bytes, int]:
        """The newest answer to each content that was asked before."""
        if not keys:
            return {}
        with self.reading() as connection:
            return claims.cached(connection, keys)

    def finish(
        self, endings_: Sequence[Answer | CacheHit], *, worker: int, build: int, runtime: int | None
    ) -> set[int]:
        """Store answers and end their jobs, together. Returns the jobs really written: those whose token still held."""
        source = endings.Source(worker=worker, build=build, runtime=runtime)
        try:
            return self._finish(endings_, source, alone=self._follows)
        except followups.NotAlone:
            return self._finish(endings_, source, alone=True)

    def _finish(self, endings_: Sequence[Answer | CacheHit], source: endings.Source, *, alone: bool) -> set[int]:
        """Store answers, and ask the questions they lead to. Raises NotAlone when that takes being alone."""
        with self._writing(alone=alone) as (connection, now):
            written = endings.finish(connection, endings_, source, now)
            followed = followups.followed(connection)
            self._follows = bool(followed)
            if followed and not alone:
                raise followups.NotAlone
            followups.follow(connection, followups.touched(connection, written, followed), now)
            return written

    def fail(self, failures: Sequence[Failure]) -> dict[int, State]:
        """Say why held jobs got no answer. Returns where each went: tried again later, failed, or cancelled."""
        with self._writing(alone=True) as (connection, now):
            return endings.fail(connection, failures, now)

    def give_back(self, held: Iterable[tuple[int, int]]) -> int:
        """Held (job, token) pairs wait again; nothing is counted. Returns how many were still held."""
        with self._writing(alone=True) as (connection, now):
            return endings.give_back(connection, held, now)

    def count_crash(self, held: Iterable[tuple[int, int]]) -> None:
        """The engine died with these (job, token) pairs inside, which stay claimed and are asked again."""
        with self._writing() as (connection, now):
            endings.count_crash(connection, held, now)

    def requeue(self, ids: Iterable[int], *, fresh: bool, batch: int | None = None) -> int:
        """Run jobs again that have ended; `fresh` asks the engine whatever the answer cache holds.

        `batch` lives again for them if it had ended. Without it each job's newest batch does, unless a live one
        wants the job.
        """
        with self._writing(alone=True) as (connection, now):
            return requeueing.requeue(connection, ids, now, fresh=fresh, batch=batch)

    # --- reviews ---------------------------------------------------------------------------------

    def review(self, said: Sequence[Review], seen: dict[int, Review] | None = None) -> list[Outcome]:
        """Store what people say about answers. Returns what became of each.

        Whoever has much to store hands it over in parts, with one dict that is empty at first.
        """
        with self._writing() as (connection, now):
            return reviews.add(connection, said, {} if seen is None else seen, now)

    # --- workers ---------------------------------------------------------------------------------

    def join(self, owner: Owner, *, model: str, device: str, build: int | None, lease_s: float) -> int:
        """Become a worker, which may claim jobs for as long as it renews its lease."""
        post = leases.Post(model=model, device=device, build=build)
        with self._writing() as (connection, now):
            return leases.join(connection, owner, post, lease_s, now)

    def renew(self, worker: int, lease_s: float, status: Mapping[str, Any] | None = None) -> Lease:
        """Say that the worker lives, and how it does. Returns how its lease stands."""
        with self._writing(may_be_lost=True) as (connection, now):
            return leases.renew(connection, worker, lease_s, status, now)

    def drain(self, worker: int) -> bool:
        """Ask a worker to take nothing new and to end. False when it has ended, or was asked already."""
        with self._writing() as (connection, _):
            return leases.drain(connection, worker)

    def leave(self, worker: int) -> None:
        """Stop being a worker; what is still held waits again."""
        with self._writing(alone=True) as (connection, now):
            leases.leave(connection, worker, now)

    def disown(self, worker: int, known: Collection[int]) -> int:
        """What a worker holds besides the jobs it knows of waits again. Returns how many jobs."""
        with self._writing(alone=True) as (connection, now):
            return leases.disown(connection, worker, known, now)

    def reap(self, me: Owner) -> int:
        """Take back the jobs of workers whose lease is over or that `me` can prove dead. Returns how many jobs."""
        with self._writing(alone=True) as (connection, now):
            return leases.reap(connection, me, now)

    def unwanted(self, worker: int) -> list[int]:
        """The jobs this worker runs that no unfinished batch wants any more: to be stopped, and failed as cancelled."""
        with self.reading() as connection:
            return leases.unwanted(connection, worker, self.now(connection))

    # --- builds ----------------------------------------------------------------------------------

    def find_build(self, path: str, stamp: str) -> KnownBuild | None:
        """The digest of a directory that is as it was when it was last hashed."""
        with self.reading() as connection:
            return builds.find_build(connection, path, stamp)

    def register_build(self, facts: BuildFacts) -> int:
        """The id of a build, known by its digest."""
        with self._writing() as (connection, now):
            return builds.register_build(connection, facts, now)

    def register_runtime(self, runtime: Mapping[str, Any]) -> int:
        """The id of an engine with its device, versions and options."""
        with self._writing() as (connection, now):
            return builds.register_runtime(connection, runtime, now)

    def alias(self, name: str) -> AliasRow | None:
        """The build an alias stands for."""
        with self.reading() as connection:
            return builds.alias(connection, name)

    def point_alias(self, name: str, build: int) -> None:
        """Let an alias stand for this build."""
        with self._writing() as (connection, now):
            builds.point_alias(connection, name, build, now)

    def verified(self, build: int, device: str, figures: Mapping[str, Any]) -> None:
        """A build was seen working on a device."""
        with self._writing() as (connection, now):
            verifications.add(connection, build, device, figures, now)

    def verifications(self, digest: bytes) -> list[VerificationRow]:
        """When and where a build was seen working, newest first."""
        with self.reading() as connection:
            return verifications.of_build(connection, digest)

    def older_answers(self, alias: str, batch: int | None = None) -> int:
        """How many done jobs (of a batch) another build answered than the one the alias stands for."""
        with self.reading() as connection:
            return builds.older_answers(connection, alias, batch)
