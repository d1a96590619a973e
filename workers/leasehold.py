"""A worker's leasehold: it joins the others, shows now and then that it lives, and takes over what the dead held."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from pipeline.owner import Owner
from pipeline.store import Store
from pipeline.store.values import Lease
from workers.patience import Patience

log = logging.getLogger(__name__)

REAP_EVERY_S = 2.0
TELL_EVERY_S = 2.0
"""How often a worker says how it does, and hears whether it is to end."""


class Leasehold:
    """One row among the workers, held as long as `keep` is called again and again."""

    def __init__(
        self,
        store: Store,
        join: Callable[[], int],
        patiently: Patience,
        *,
        lease_s: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._join, self._patiently = store, join, patiently
        self._lease_s, self._now = lease_s, now
        self._me = Owner.current()
        self.worker = patiently(join)
        """the row's number"""
        self._renewed = self._reaped = now()
        self.drain_asked: Future[None] = Future()
        """done once a person has asked this worker to take nothing new and to end"""

    def keep(self, status: Callable[[], Mapping[str, Any]]) -> bool:
        """Do what is due. False: the lease was taken back, since this program stood still, and with it all jobs."""
        now = self._now()
        if now - self._renewed >= min(self._lease_s / 3, TELL_EVERY_S):
            self._renewed = now
            lease = self._patiently(self._store.renew, self.worker, self._lease_s, status())
            if lease is Lease.LOST:
                return False
            self._heed(lease)
        # After the database was away others may renew first: their leases are over, and they are alive.
        if now - max(self._reaped, self._patiently.recovered) >= REAP_EVERY_S:
            self._reaped = now
            self._reap()
        return True

    def begin_anew(self) -> None:
        self.worker = self._patiently(self._join)

    def leave(self) -> None:
        """End in order: what is still held waits again."""
        self._store.leave(self.worker)

    def _heed(self, lease: Lease) -> None:
        if lease is Lease.DRAINING and not self.drain_asked.done():
            log.info("action=drain worker=%d", self.worker)
            self.drain_asked.set_result(None)

    def _reap(self) -> None:
        if count := self._patiently(self._store.reap, self._me):
            log.warning("action=reaped jobs=%d", count)
