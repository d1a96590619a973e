"""What the way through Celery costs, against an engine loop with nothing around it, and how long an idle one takes.

python -m tests.benchmarks.bench_celery [--database sqlite|postgres|both] [--jobs N] [--running N] [--step SECONDS]

All from one run, with the fake engine: throughput and mean running requests of a worker with answers of mixed
length against the bare loop over the same engine; milliseconds a job with an engine of no cost; seconds from
`submit` to the answer of a single job while the worker is idle; publishing; one to four workers.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import sqlalchemy as sa

from pipeline import database
from pipeline import tables as t
from pipeline.broker import CeleryQueue
from pipeline.dispatch import dispatch
from pipeline.locators import Picture
from pipeline.prompts import Prompt, Sampling
from pipeline.submit import ask_each
from tests import servers
from tests.fleet import Fleet, fleet
from tests.house import draw_many
from workers.engine.fake import Fake
from workers.engine.requests import EngineConfig, Request

TOKENS = (8, 40)
PICTURES = 20
"""few, with many questions about each: it is the question that decides how long the fake engine's answer is"""


@click.command()
@click.option("--database", "kind", type=click.Choice(["sqlite", "postgres", "both"]), default="both")
@click.option("--jobs", type=int, default=2_000, show_default=True, help="For throughput.")
@click.option("--running", type=int, default=32, show_default=True, help="max_num_seqs of the fake engine.")
@click.option("--step", type=float, default=0.02, show_default=True, help="Seconds a step of the engine takes.")
@click.option("--single", type=int, default=50, show_default=True, help="Jobs submitted one at a time.")
@click.option("--published", type=int, default=100_000, show_default=True)
@click.option("--workers", type=int, default=4, show_default=True, help="For scaling.")
def main(kind: str, jobs: int, running: int, step: float, single: int, published: int, workers: int) -> None:
    bare, bare_running = bare_loop(jobs, running, step)
    print(f"bare loop: {bare:.1f} answers/s, {bare_running:.1f} of {running} running")
    for name in ("sqlite", "postgres") if kind == "both" else (kind,):
        with room(name) as ships:
            paths = draw_many(ships.folder / "pictures", PICTURES)
            mixed = {"step_s": step, "tokens": TOKENS}
            with ships_worker(ships, script=mixed, max_num_seqs=running):
                rate, filled = throughput(ships, paths, questions("mixed", jobs))
            share = f"{rate / bare:.3f} of the bare loop, {filled:.1f} of {running} running"
            print(f"{name}: worker with mixed answers: {rate:.1f} answers/s, {share}")
            with ships_worker(ships, script={}, max_num_seqs=running):
                rate, _ = throughput(ships, paths, questions("at once", jobs * 5))
                print(f"{name}: an engine at no cost: {rate:,.0f} answers/s, {1000 / rate:.2f} ms a job")
                queue = ships.queue
                waited = sorted(idle(ships, queue, paths[0], number) for number in range(single))
            median, most = statistics.median(waited) * 1000, waited[-1] * 1000
            print(f"{name}: idle, submit to answer: median {median:.1f} ms, maximum {most:.1f} ms")
            seconds = publish(ships, paths, published)
            print(f"{name}: publishing {published:,} jobs: {seconds:.1f} s, {published / seconds:,.0f} jobs/s")
            scaling(name, ships, paths, jobs, workers)


def bare_loop(jobs: int, running: int, step: float) -> tuple[float, float]:
    """The engine with nothing around it: as many requests in it as it takes, always."""
    config = EngineConfig(engine="fake", model="", max_num_seqs=running, script={"step_s": step, "tokens": TOKENS})
    engine = Fake(config, pixels=-1)
    asked = [text for _ in range(PICTURES) for text in questions("mixed", jobs)]
    waiting = [request(number, text) for number, text in enumerate(asked, 1)][::-1]
    begun, steps, filled = time.monotonic(), 0, 0
    while waiting or engine.running:
        while waiting and not engine.full:
            engine.admit(waiting.pop())
        steps, filled = steps + 1, filled + engine.running
        engine.step()
    return len(asked) / (time.monotonic() - begun), filled / steps


def request(number: int, text: str) -> Request:
    return Request(id=number, frames=(), messages=(("user", text),), sampling=Sampling())


def questions(kind: str, jobs: int) -> list[str]:
    """So many that with each picture they make about that many jobs."""
    return [f"Question {number}, {kind}?" for number in range(-(-jobs // PICTURES))]


@contextmanager
def room(kind: str) -> Iterator[Fleet]:
    """A fleet with servers of its own."""
    with tempfile.TemporaryDirectory() as name, servers.redis() as redis:
        folder = Path(name)
        if kind == "sqlite":
            url = f"sqlite:///{folder}/pixmill.db"
            database.prepare(url)
            with fleet(url, redis, folder) as ships:
                yield ships
        else:
            with servers.postgres() as postgres:
                url = postgres.new()
                database.upgrade(url)
                with fleet(url, redis, folder) as ships:
                    yield ships


@contextmanager
def ships_worker(ships: Fleet, *, count: int = 1, **options: object) -> Iterator[None]:
    started = [ships.start(ready=False, **options) for _ in range(count)]  # type: ignore[arg-type]
    for worker in started:
        worker.wait_for("action=ready")
    yield
    assert [worker.end() for worker in started] == [0] * count, ships.logs


def throughput(ships: Fleet, paths: list[Path], asked: list[str]) -> tuple[float, float]:
    """Answers a second from the first job's submission to the last answer, and the mean of running requests."""
    store = ships.store
    begun = time.monotonic()
    batch = ships.submit(paths, asked)
    running: list[int] = []
    while (counts := store.views.progress(batch)).unfinished:
        if counts.queued:
            running += [row.status["running"] for row in store.views.workers() if row.status]
        time.sleep(0.2)
    rate = counts.done / (time.monotonic() - begun)
    return rate, statistics.fmean(running or [0])


def idle(ships: Fleet, queue: CeleryQueue, path: Path, number: int) -> float:
    """From the beginning of a submission to the stored answer."""
    item = ask_each([Picture.at(path, None)], [Prompt.ask(f"Alone {number}?")], ships.alias)
    begun = time.monotonic()
    batch = ships.store.open_batch(None, origin="bench", spec={}).id
    dispatch(ships.store, queue, ships.alias, batch, item)
    query = sa.select(t.batch_items.c.ended).where(t.batch_items.c.batch_id == batch)
    while ships.rows(query)[0].ended is None:
        time.sleep(0.0005)
    seconds = time.monotonic() - begun
    time.sleep(0.1)
    return seconds


def publish(ships: Fleet, paths: list[Path], jobs: int) -> float:
    """Storing the jobs and sending what the window takes, with no worker running."""
    pictures = [Picture.at(path, None) for path in paths]
    prompts = [Prompt.ask(text) for text in questions("published", jobs)]
    batch = ships.store.open_batch(None, origin="bench", spec={})
    items = ask_each(pictures, prompts, "published")
    begun = time.monotonic()
    dispatch(ships.store, ships.queue, "published", batch.id, items)
    return time.monotonic() - begun


def scaling(name: str, ships: Fleet, paths: list[Path], jobs: int, workers: int) -> None:
    """One to a few workers, with an engine that sleeps: what is left is how they share.

    In tokens, for each count is asked other questions, whose answers differ in length.
    """
    alone = 0.0
    for count in range(1, workers + 1):
        with ships_worker(ships, count=count, script={"step_s": 0.05, "tokens": (2, 10)}, max_num_seqs=16):
            asked = questions(f"for {count}", jobs * count // 4)
            rate, _ = throughput(ships, paths, asked)
        rate *= mean_tokens(ships, len(asked) * len(paths))
        alone = alone or rate
        print(f"{name}: {count} workers: {rate:.0f} tokens/s, {rate / alone:.2f} times one")


def mean_tokens(ships: Fleet, last: int) -> float:
    newest = sa.select(t.answers.c.answer_tokens).order_by(t.answers.c.id.desc()).limit(last)
    return statistics.fmean(row.answer_tokens for row in ships.rows(newest))


if __name__ == "__main__":
    main()
