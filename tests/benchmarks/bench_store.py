"""How fast the store is: rows submitted, tickets cut, jobs claimed and finished, per second.

python -m tests.benchmarks.bench_store [--rows N] [--url URL]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256

from pipeline import database
from pipeline.jobs import Answer, Claim, Item, JobSpec, PictureRead, content_key
from pipeline.locators import Picture
from pipeline.owner import Owner
from pipeline.prompts import Prompt
from pipeline.store import BuildFacts, Store

CHUNK = 5000
MODEL = "internvl2-2b-int4"
BUILD = sha256(b"build").digest()


@dataclass
class Stopwatch:
    """Sums the time that is spent inside its blocks."""

    total: float = 0.0
    cpu: float = 0.0
    longest: float = 0.0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        start, cpu = time.perf_counter(), time.process_time()
        yield
        lap = time.perf_counter() - start
        self.total, self.longest = self.total + lap, max(self.longest, lap)
        self.cpu += time.process_time() - cpu

    def __add__(self, other: Stopwatch) -> Stopwatch:
        return Stopwatch(self.total + other.total, self.cpu + other.cpu, max(self.longest, other.longest))


def items(start: int, count: int, folder: str) -> list[Item]:
    prompt = Prompt.ask("What is in this picture?")
    return [
        Item(
            spec=JobSpec.of(
                pictures=(
                    Picture(f"file:///data/{folder}/{row:08}.jpg", 123456 + row, 1_700_000_000_000_000_000 + row),
                ),
                prompt=prompt,
                model=MODEL,
            ),
            row=row,
        )
        for row in range(start, start + count)
    ]


def submit(store: Store, what: str, rows: int, folder: str) -> int:
    batch = store.open_batch(None, origin="bench", spec={"folder": folder})
    watch = Stopwatch()
    for start in range(0, rows, CHUNK):
        chunk = items(start, min(CHUNK, rows - start), folder)
        with watch():
            store.add(batch.id, chunk)
    store.seal(batch.id, rows)
    say(f"submit, {what}", rows, watch)
    return batch.id


def work(store: Store, group: int, count: int, batch: int | None = None) -> None:
    build = store.register_build(BuildFacts(digest=BUILD, family="fake", precision="int4", path="/m", stamp="s"))
    runtime = store.register_runtime(
        {"engine": "fake", "device": "CPU", "device_name": "CPU", "versions": {}, "options": {}}
    )
    worker = store.join(Owner.current(), model=MODEL, device="CPU", build=build, lease_s=60)
    ticketing, claiming, finishing = Stopwatch(), Stopwatch(), Stopwatch()
    done = 0
    while done < count:
        with ticketing():
            tickets = store.tickets(MODEL, size=16, count=max(1, group // 16), batch=batch)
        with claiming():
            claims = store.claim([id for ticket in tickets for id in ticket.ids], worker)
        endings = [answer(claim) for claim in claims]
        with finishing():
            written = store.finish(endings, worker=worker, build=build, runtime=runtime)
        if not written:
            break
        done += len(written)
    say(f"tickets, {group} at a time", done, ticketing)
    say(f"claim, {group} at a time", done, claiming)
    say(f"finish, {group} at a time", done, finishing)
    say(f"all three, {group} at a time", done, ticketing + claiming + finishing)
    store.leave(worker)


def answer(claim: Claim) -> Answer:
    digest = sha256(claim.pictures[0].locator.encode()).digest()
    return Answer(
        job=claim.id,
        token=claim.token,
        text="A red square stands on a blue table beside a small green ball.",
        finish_reason="stop",
        prompt_tokens=300,
        answer_tokens=16,
        pictures=(PictureRead(sha256=digest, bytes=123456, width=640, height=480, format="JPEG"),),
        content_key=content_key([digest], claim.prompt, BUILD, None),
        logprob=-0.4,
        total_s=1.0,
    )


def say(what: str, count: int, watch: Stopwatch) -> None:
    """CPU time beside the rate: on a busy machine only that says what the code costs."""
    rates = f"{count / watch.total:10,.0f} /s {count / watch.cpu:10,.0f} /CPU-s"
    print(f"{what:<36} {rates}   slowest call {watch.longest * 1e3:6.1f} ms", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--url", help="a database that may be filled; a temporary SQLite file without it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = options.url or f"sqlite:///{folder}/pixmill.db"
        database.upgrade(url)
        store = Store(database.connect(url))
        first = submit(store, "new rows", options.rows, "a")
        submit(store, "known rows in a new batch", options.rows, "a")
        for group in (16, 64, 256):
            work(store, group, options.rows // 4, batch=first)
        store.close()


if __name__ == "__main__":
    main()
