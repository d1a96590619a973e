"""Holding: a watch stays one process's, also while that is busy with something that takes long."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pipeline.owner import Owner
from pipeline.repeating import repeat
from pipeline.store import Store

LEASE_S = 30.0


@dataclass
class Hold:
    """A process's hold of a watch."""

    store: Store
    id: int
    owner: Owner
    lost: bool = False
    """another has taken over: this one slept for longer than its lease"""

    def renew(self) -> None:
        self.lost = self.lost or not self.store.watches.renew(self.id, self.owner, LEASE_S)


@contextmanager
def holding(store: Store, id: int, owner: Owner) -> Iterator[Hold]:
    """The lease is renewed in a thread meanwhile, and the watch is free afterwards."""
    hold, stopped = Hold(store, id, owner), threading.Event()
    thread = threading.Thread(target=repeat, args=[hold.renew, stopped, LEASE_S / 3], daemon=True)
    thread.start()
    try:
        yield hold
    finally:
        stopped.set()
        thread.join()
        store.watches.leave(id, owner)
