"""Dispatching: the entries of a batch are stored, and tickets for them go out meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.errors import BrokerUnreachable
from pipeline.queue import WINDOW, Queue, top_up
from pipeline.store import Store
from pipeline.store.values import Added
from pipeline.submit import Entry, submit


@dataclass(frozen=True, slots=True)
class Dispatched:
    """What became of the entries, and why no tickets go out for them, if so."""

    added: Added
    held_up: BrokerUnreachable | None


def dispatch(
    store: Store, queue: Queue, model: str, batch: int, entries: Iterable[Entry], *, force: bool = False
) -> Dispatched:
    """Store all entries; workers can begin with the first of them while the last are still read.

    A broker that is away costs nothing but time: workers send what is missing once it is back.
    """
    added, held_up = Added(), None
    for part in submit(store, batch, entries, force=force):
        added += part
        # Asked once: each look for a Redis that is away may take seconds.
        held_up = held_up or _top_up(store, queue, model)
    store.settle()
    return Dispatched(added, _top_up(store, queue, model) if added.unfinished else None)


def _top_up(store: Store, queue: Queue, model: str) -> BrokerUnreachable | None:
    try:
        top_up(store, queue, model, window=WINDOW)
    except BrokerUnreachable as error:
        return error
    return None
