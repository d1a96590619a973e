"""How long one look of `pixmill status --watch` takes beside a million answers, and beside a million queued jobs.

python -m tests.benchmarks.bench_activity [--rows N] [--url URL]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from statistics import median

from pipeline import database
from pipeline.store import Store
from tests import seeding

FEW = 1_000


def measure(url: str, done: int, queued: int) -> None:
    database.upgrade(url)
    engine = database.connect(url)
    with engine.begin() as connection:
        seeding.crowd(connection, done, queued)
    store = Store(engine, clock=lambda: seeding.NOW)
    looks = []
    for _ in range(5):
        begun = time.perf_counter()
        (batch,) = store.views.activity().batches
        looks.append(time.perf_counter() - begun)
    assert (batch.done + batch.failed, batch.open) == (done, queued)
    first, again = looks[0] * 1e3, median(looks[1:]) * 1e3
    print(f"{done:>9,} ended, {queued:>9,} queued   first look {first:6.1f} ms   then {again:6.1f} ms", flush=True)
    store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--url", help="an empty database that may be filled; temporary SQLite files without it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.url:
            measure(options.url, options.rows, FEW)
        else:
            measure(f"sqlite:///{folder}/done.db", options.rows, FEW)
            measure(f"sqlite:///{folder}/queued.db", FEW, options.rows)


if __name__ == "__main__":
    main()
