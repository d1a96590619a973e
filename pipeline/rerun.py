"""Running jobs again: a chunk in each transaction, so that nobody waits for a million of them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from pipeline.store import Store

CHUNK = 1_000

HINT = (
    "Workers take them up. Where none runs, they wait until the command of their batch is run again;"
    " `pixmill batch show` says what it was."
)


def run_again(store: Store, ids: Iterable[int], *, batch: int | None = None, fresh: bool = False) -> int:
    """Queue jobs again that have ended. `batch` lives again for them if it had ended. Returns how many."""
    left = iter(ids)
    chunks = iter(lambda: list(islice(left, CHUNK)), [])
    return sum(store.requeue(chunk, fresh=fresh, batch=batch) for chunk in chunks)
