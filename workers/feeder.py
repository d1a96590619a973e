"""The feeder: one thread that keeps an engine full of claimed jobs and stores what comes of them.

It alone moves jobs and talks to the child processes. Tickets come from other threads through `take`;
everything else happens in turns of one loop, which waits on the children's sockets.
"""

from __future__ import annotations

import itertools
import logging
import os
import secrets
import select
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from pipeline.errors import EngineCrashed, EngineStalled, PixmillError, RowInvalid
from pipeline.jobs import Answer, CacheHit, Claim, Failure, content_key
from pipeline.prompts import MOST_PICTURES
from pipeline.rate import Rate
from pipeline.store import Store
from workers import endings
from workers.child import Child, Refused
from workers.decoders import Decoders
from workers.endings import Endings, Group
from workers.engine.client import Engine, EngineDied
from workers.engine.requests import Completion, Request
from workers.leasehold import Leasehold
from workers.patience import Patience
from workers.pictures import Pictures
from workers.tray import Ticket, Tray
from workers.work import Places, Work

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
"""How often to look for batches that have ended, and for what nobody wants any more."""
RATE_WINDOW_S = 60.0
IDLE_S = 0.5
"""How long to sleep at most: leases and stalls are looked at in between."""
ALONE_FROM = 2
"""A job with so many crashes runs with nothing beside it: a third one is its own doing."""


class Feeder:
    """Claims jobs, has their pictures opened, asks the engine, stores the answers."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        decoders: Decoders,
        pictures: Pictures,
        *,
        places: Places,
        join: Callable[[], int],
        build: int,
        build_digest: bytes,
        lease_s: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._engine, self._decoders, self._pictures = store, engine, decoders, pictures
        self._now = now
        self._stop_by: float | None = None
        self._patiently = Patience(lambda _: self._is_overdue(), now)
        self._places, self._build, self._build_digest = places, build, build_digest
        self._lease = Leasehold(store, join, self._patiently, lease_s=lease_s, now=now)
        self._tray = Tray()
        self._held: dict[int, Work] = {}
        self._ready: deque[Work] = deque()
        self._suspects: deque[Work] = deque()
        self._suspect: Work | None = None
        self._asked: dict[int, Work] = {}
        self._leaders: dict[bytes, Work] = {}
        self._answers: deque[tuple[int, Future[Completion]]] = deque()
        self._endings = Endings(now)
        self._request_ids = itertools.count(1)
        self._runtime: int | None = None
        self._looked = now()
        self._rate = Rate(RATE_WINDOW_S)
        self._doorbell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        weakref.finalize(self, os.close, self._doorbell)  # not sooner: other threads may ring at any time
        pictures.wake_with(self._ring)
        self.tally: Counter[str] = Counter()
        """done, cached, failed, cancelled, retried, lost, crashes: what this feeder saw"""

    # --- for other threads ---------------------------------------------------------------------

    def take(self, ids: Sequence[int]) -> Future[None]:
        """Work on these jobs as far as they still may run. The future ends when all of them have, or the feeder."""
        ended = self._tray.put(ids)
        self._ring()
        return ended

    @property
    def drain_asked(self) -> Future[None]:
        """Done once a person has asked this worker to take nothing new and to end."""
        return self._lease.drain_asked

    @property
    def standing(self) -> int:
        """Jobs whose tickets are here and that have not been claimed yet."""
        return len(self._tray)

    @property
    def holding(self) -> int:
        """Jobs that have been claimed and have not ended."""
        return len(self._held)

    def stop(self, grace_s: float) -> None:
        """Claim no more, give back what has not begun, finish what runs within the grace, then end."""
        self._stop_by = self._now() + grace_s
        self._ring()

    # --- the loop ------------------------------------------------------------------------------

    def run(self) -> None:
        """Work until stopped. Whatever ends it, the jobs still held are given back."""
        try:
            while not self._finished():
                self._turn()
        finally:
            self._leave()

    def _finished(self) -> bool:
        return self._stop_by is not None and (self._is_overdue() or not self._held)

    def _is_overdue(self) -> bool:
        return self._stop_by is not None and self._now() >= self._stop_by

    def _turn(self) -> None:
        if self._endings.are_due(len(self._held)):
            self._store_endings()
        if self._stop_by is None:
            self._claim()
        else:
            self._give_back()
        self._pictures.tend(standing_still=not (self._asked or self._ready or self._endings))
        self._engine.tend()
        self._look_around()
        self._take_answers()
        if self._stop_by is None:
            self._ask()
        if not self._lease.keep(self._status):
            self._begin_anew()
        self._wait()
        self._pictures.receive()
        self._engine.receive()
        self._take_answers()

    def _wait(self) -> None:
        """Sleep until a child says something, a ticket comes, or something is due."""
        children: list[Child] = [self._engine.child, *self._decoders.children]
        poll = select.poll()
        poll.register(self._doorbell, select.POLLIN)
        for wire in (child.wire for child in children if child.wire):
            poll.register(wire, select.POLLIN | (select.POLLOUT if wire.unsent else 0))
        dues = (self._endings.due_in, *(child.due_in for child in children))
        woken = poll.poll(min([IDLE_S, *(due for due in dues if due is not None)]) * 1000)
        if any(source == self._doorbell for source, _ in woken):
            os.eventfd_read(self._doorbell)

    def _ring(self) -> None:
        os.eventfd_write(self._doorbell, 1)

    # --- tickets become claimed jobs with pictures ----------------------------------------------

    def _claim(self) -> None:
        """Claim in groups as places come free: one by one would cost a transaction each."""
        fetching = min(self._pictures.fetching, self._places.fetching)
        room = self._places.held + fetching - len(self._held)
        if not len(self._tray) or (room < self._places.group and self._held):
            return
        group = self._tray.take(room)
        claims = self._claimed([id for id, _ in group])
        for id, ticket in group:
            if claim := claims.pop(id, None):
                self._begin(claim, ticket)
            else:  # done meanwhile, cancelled, paused, or another worker's
                ticket.tear()

    def _claimed(self, ids: Sequence[int]) -> dict[int, Claim]:
        lapses = self._patiently.lapses
        claims = {claim.id: claim for claim in self._patiently(self._store.claim, ids, self._lease.worker)}
        if self._patiently.lapses > lapses:  # the tries before may have claimed jobs, of which we never heard
            self._patiently(self._store.disown, self._lease.worker, {*self._held, *claims})
        return claims

    def _begin(self, claim: Claim, ticket: Ticket) -> None:
        work = Work(claim=claim, ticket=ticket, begun=self._now(), crashes=claim.crashes)
        self._held[work.id] = work
        if len(claim.pictures) > MOST_PICTURES:
            crowded = RowInvalid(why=f"it asks about {len(claim.pictures)} pictures; {MOST_PICTURES} are the most")
            self._refuse(work, Refused(crowded.code, str(crowded)))
            return
        work.unsettled = len(claim.pictures)
        for picture in claim.pictures:
            work.pictures.append(self._pictures.want(picture, lambda: self._picture_settled(work)))

    def _picture_settled(self, work: Work) -> None:
        work.unsettled -= 1
        if work.unsettled == 0:
            self._ready.append(work)

    # --- ready jobs become requests -------------------------------------------------------------

    def _ask(self) -> None:
        """Send what is ready to the engine. Suspects first: the engine empties, and they run one by one."""
        self._suspects.extend(work for work in self._ready if work.crashes >= ALONE_FROM)
        self._ready = deque(work for work in self._ready if work.crashes < ALONE_FROM)
        while self._suspects and not self._asked:
            self._suspect = self._suspects.popleft()
            self._submit(self._unanswered([self._suspect]))
        if self._suspects or (self._suspect and self._asked):
            return
        self._suspect = None
        room = self._places.in_flight - len(self._asked)
        if room < self._places.group > len(self._ready):
            return  # the engine has enough: one look into the cache serves several jobs
        self._submit(self._unanswered(self._next(room)))

    def _next(self, count: int) -> list[Work]:
        """So many ready jobs, and the rest of those about the last one's pictures: the engine encodes them once."""
        taken: list[Work] = []
        while self._ready and (len(taken) < count or (taken and self._ready[0].pictures == taken[-1].pictures)):
            taken.append(self._ready.popleft())
        return taken

    def _unanswered(self, works: Iterable[Work]) -> list[Work]:
        """Those the engine must be asked: no refused picture, nothing in the cache, nothing asked already."""
        readable = [work for work in works if not self._refused(work)]
        for work in readable:
            hashes = [read.sha256 for read in work.reads]
            work.key = content_key(hashes, work.claim.prompt, self._build_digest, work.claim.device_class)
        keys = {work.key for work in readable if work.key and not work.claim.fresh}
        known = self._patiently(self._store.cached, keys) if keys else {}
        return [work for work in readable if not (self._cached(work, known) or self._follows(work))]

    def _refused(self, work: Work) -> bool:
        refusal = work.refusal
        if refusal:
            self._refuse(work, refusal)
        return refusal is not None

    def _cached(self, work: Work, known: dict[bytes, int]) -> bool:
        if work.claim.fresh or work.key is None or work.key not in known:
            return False
        self._endings.add(work, endings.hit(work, work.key, known[work.key]))
        return True

    def _follows(self, work: Work) -> bool:
        """Whether the same is being asked already: then it waits, and finds the answer in the cache."""
        if work.claim.fresh or work.key is None:
            return False
        leader = self._leaders.setdefault(work.key, work)
        if leader is not work:
            leader.twins.append(work)
        return leader is not work

    def _submit(self, works: Sequence[Work]) -> None:
        requests = [self._request(work) for work in works]
        self._asked.update((request.id, work) for request, work in zip(requests, works, strict=True))
        for request, future in zip(requests, self._engine.submit_all(requests), strict=True):
            future.add_done_callback(self._note_answer(request.id))

    def _request(self, work: Work) -> Request:
        sampling = work.claim.sampling
        if not sampling.repeatable:
            # rng_seed is 0 by default (openvino-genai 2026.4): unseeded sampling would repeat itself.
            sampling = replace(sampling, seed=secrets.randbits(31))
        work.seed = sampling.seed if sampling.temperature else None
        return Request(
            id=next(self._request_ids),
            frames=tuple(picture.frame for picture in work.pictures if picture.frame),
            messages=work.claim.prompt.messages,
            sampling=sampling,
            form=work.claim.prompt.form,
        )

    # --- requests become endings ----------------------------------------------------------------

    def _note_answer(self, request: int) -> Callable[[Future[Completion]], None]:
        # Only noted here: an exception in a future's callback would be swallowed.
        return lambda done: self._answers.append((request, done))

    def _take_answers(self) -> None:
        crashed: list[tuple[Work, EngineDied]] = []
        while self._answers:
            request, done = self._answers.popleft()
            work = self._asked.pop(request)
            if done.cancelled():
                self._ready.append(work)
                continue
            match done.exception():
                case None:
                    self._answered(work, done.result())
                case EngineDied() as died:
                    crashed.append((work, died))
                case Refused() as refusal:
                    self._refuse(work, refusal)
                case error:
                    raise error
        if crashed:
            self._count_crash(crashed)

    def _answered(self, work: Work, completion: Completion) -> None:
        if work.claim.prompt.form is not None:
            self._note_unheld()
        self._endings.add(work, endings.of_completion(work, completion, self._now()))

    def _note_unheld(self) -> None:
        """Count the answers whose form was only asked for, since this engine cannot hold a model to one."""
        if self._engine.runtime and self._engine.runtime.options.get("holds_forms") is False:
            if not self.tally["unheld"]:
                log.warning("action=forms_unheld reason=the vocabulary of the tokenizer cannot be read")
            self.tally["unheld"] += 1

    def _refuse(self, work: Work, why: Refused, *, final: bool = False) -> None:
        self._endings.add(work, endings.failure(work, why, final=final))

    def _count_crash(self, crashed: Sequence[tuple[Work, EngineDied]]) -> None:
        """The engine died with these inside: it counts for each, and they are asked again."""
        self.tally["crashes"] += 1
        log.warning("action=engine_died inside=%d reason=%s", len(crashed), crashed[0][1])
        self._patiently(self._store.count_crash, [(work.id, work.claim.token) for work, _ in crashed])
        for work, died in reversed(crashed):
            work.crashes += 1
            if work is self._suspect:
                why = EngineStalled(seconds=self._engine.stall_s) if died.stalled else EngineCrashed()
                self._refuse(work, Refused(why.code, str(why)), final=True)
            else:
                self._ready.appendleft(work)

    # --- endings become rows --------------------------------------------------------------------

    def _store_endings(self) -> None:
        for group in self._endings.take():
            self._store_group(group)

    def _store_group(self, group: Group) -> None:
        good = [ending for _, ending in group if not isinstance(ending, Failure)]
        bad = [ending for _, ending in group if isinstance(ending, Failure)]
        written = self._finish(good) if good else set()
        states = self._patiently(self._store.fail, bad) if bad else {}
        for work, ending in group:
            self.tally[endings.outcome(ending, states.get(work.id), work.id in written)] += 1
            self.tally["cached"] += isinstance(ending, CacheHit)
            self._let_go(work)

    def _finish(self, good: Sequence[Answer | CacheHit]) -> set[int]:
        return self._patiently(
            self._store.finish, good, worker=self._lease.worker, build=self._build, runtime=self._runtime_id()
        )

    def _let_go(self, work: Work) -> None:
        """The job has ended here: its place and its pictures are free, and its twins can be looked up."""
        if work.key is not None and self._leaders.get(work.key) is work:
            del self._leaders[work.key]
        self._ready.extend(work.twins)
        del self._held[work.id]
        for picture in work.pictures:
            self._pictures.release(picture)
        work.ticket.tear()

    def _runtime_id(self) -> int | None:
        """The row of the engine that answered; none while there was no engine (all came from the cache)."""
        if self._runtime is None and self._engine.runtime:
            self._runtime = self._patiently(self._store.register_runtime, self._engine.runtime.wire())
        return self._runtime

    # --- what batches want ------------------------------------------------------------------------

    def _look_around(self) -> None:
        """End the batches that are at their end, and here what no batch wants any more."""
        if self._now() - self._looked < LOOK_EVERY_S:
            return
        self._looked = self._now()
        self._patiently(self._store.settle)
        if self._held:
            self._stop_unwanted(self._patiently(self._store.unwanted, self._lease.worker))

    def _stop_unwanted(self, ids: Iterable[int]) -> None:
        """Take these jobs from the engine. They become ready once more, and are refused there."""
        for work in (self._held[id] for id in ids if id in self._held):
            work.unwanted = True
        self._engine.cancel([request for request, work in self._asked.items() if work.unwanted])

    # --- what others see, and the end ------------------------------------------------------------

    def _status(self) -> dict[str, Any]:
        """How it goes, for people."""
        self._rate.see(self._now(), self.tally["done"])
        rate = self._rate.per_second
        return {
            # What was cancelled runs no more, though an engine that fell idle over it did not say so.
            "running": min(self._engine.figures.running, len(self._asked)),
            "places": self._places.running,
            "held": len(self._held),
            "rate": None if rate is None else round(rate, 3),
            **self.tally,
        }

    def _begin_anew(self) -> None:
        """The lease was lost, and with it all jobs: they may be claimed again."""
        log.warning("action=lease_lost worker=%d held=%d", self._lease.worker, len(self._held))
        self._engine.cancel(list(self._asked))
        self._answers.clear()
        self._asked.clear()
        self._endings = Endings(self._now)
        self._drop(list(self._held.values()))
        self._lease.begin_anew()

    def _give_back(self) -> None:
        """Keep only what the engine runs and what has ended: all else goes back to the queue."""
        self._tray.clear()
        self._engine.drain()
        keep = {*self._asked.values(), *self._endings.works}
        rest = [work for work in self._held.values() if work not in keep]
        if rest:
            self._patiently(self._store.give_back, [(work.id, work.claim.token) for work in rest])
        self._drop(rest)

    def _drop(self, works: Iterable[Work]) -> None:
        """Let go of jobs that come to nothing here, and with them of all that waits to be asked."""
        for work in self._held.values():
            work.twins = []
        for work in works:
            self._let_go(work)
        self._ready.clear()
        self._suspects.clear()

    def _leave(self) -> None:
        self._stop_by = self._now()  # nothing is tried again
        try:
            self._store_endings()
            self._lease.leave()
        except PixmillError as error:  # the reason for leaving is worth more than this one
            log.warning("action=leave_failed reason=%s", error)
        finally:
            self._tray.close()
            self._drop(list(self._held.values()))
