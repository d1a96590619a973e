"""A fleet: workers as real processes with the fake engine, a real Redis, and a store to look into."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from pipeline import broker, database
from pipeline import tables as t
from pipeline.dispatch import Dispatched, dispatch
from pipeline.jobs import Lane
from pipeline.locators import Picture
from pipeline.prompts import Prompt
from pipeline.settings import read_settings
from pipeline.store import Store
from pipeline.store.values import Counts
from pipeline.submit import ask_each
from tests.house import House
from tests.servers import Redis
from tests.store_world import check

ROOT = Path(__file__).parents[1]
PATIENCE_S = 60.0


@dataclass
class FakeWorker:
    """A worker's process and what it logs."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self, *, times: int = 1) -> int:
        """Stop it as a supervisor does; its exit code."""
        for _ in range(times):
            if self.process.poll() is None:
                self.signal(signal.SIGTERM)
            time.sleep(0.05 if times > 1 else 0)
        return self.process.wait(PATIENCE_S)

    def wait_for(self, words: str) -> None:
        until = time.monotonic() + PATIENCE_S
        while words not in self.said:
            assert self.process.poll() is None, f"it ended before it said {words!r}:\n{self.said}"
            assert time.monotonic() < until, f"it never said {words!r}:\n{self.said}"
            time.sleep(0.02)


@dataclass
class Fleet:
    """Workers, what is submitted to them, and what came of it."""

    store: Store
    database_url: str
    redis: Redis
    folder: Path
    alias: str = "fake"
    workers: list[FakeWorker] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PIXMILL_DATABASE_URL": self.database_url,
            "PIXMILL_BROKER_URL": self.redis.url,
            "PIXMILL_HOME": str(self.folder / "home"),
        }

    @property
    def queue(self) -> broker.CeleryQueue:
        settings = read_settings(environ={**os.environ, **self.environment})
        return broker.CeleryQueue(broker.app(settings), self.alias)

    def start(
        self,
        *,
        ready: bool = True,
        script: dict[str, Any] | None = None,
        prefix: Sequence[str] = (),
        **options: Any,
    ) -> FakeWorker:
        """A new worker; `prefix` are the words of a program that runs it."""
        log = self.folder / f"worker-{len(self.workers)}.log"
        asked = json.dumps({"script": script or {}, "alias": self.alias, **options})
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [*prefix, sys.executable, "-m", "tests.fake_worker", asked],
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )
        worker = FakeWorker(process, log)
        self.workers.append(worker)
        if ready:
            worker.wait_for("action=ready")
        return worker

    def freeze(self, worker: FakeWorker) -> None:
        """Stop a worker where it stands, though not while it writes: nobody can take SQLite's lock from it."""
        while True:
            worker.signal(signal.SIGSTOP)
            if not self.database_url.startswith("sqlite") or _writable(self.database_url.removeprefix("sqlite:///")):
                return
            worker.signal(signal.SIGCONT)

    def submit(
        self,
        pictures: Iterable[Path],
        questions: Sequence[str] = ("What?",),
        *,
        name: str | None = None,
        lane: Lane = Lane.NORMAL,
    ) -> int:
        """What `pixmill submit` does, without its command line."""
        House(self.store, alias=self.alias).model()
        batch = self.store.open_batch(name, origin="test", spec={}, lane=lane)
        prompts = [Prompt.ask(question) for question in questions]
        self.dispatch(batch.id, [Picture.at(path, None) for path in pictures], prompts)
        return batch.id

    def dispatch(self, batch: int, pictures: Sequence[Picture], prompts: Sequence[Prompt]) -> Dispatched:
        items = ask_each(pictures, prompts, self.alias)
        return dispatch(self.store, self.queue, self.alias, batch, items)

    def counts(self, batch: int) -> Counts:
        return self.store.views.progress(batch)

    def wait(self, batch: int, reached: Callable[[Counts], bool] = lambda counts: counts.unfinished == 0) -> Counts:
        return self.until(lambda: self.counts(batch), reached)

    def until(self, look: Callable[[], Any], reached: Callable[[Any], bool] = bool) -> Any:
        end = time.monotonic() + PATIENCE_S
        while not reached(found := look()):
            assert time.monotonic() < end, f"still {found} after {PATIENCE_S} s\n{self.logs}"
            time.sleep(0.01)
        return found

    def answered(self) -> dict[int, int]:
        """How many answers each job has."""
        count = sa.func.count(t.answers.c.id)
        query = sa.select(t.jobs.c.id, count).outerjoin(t.answers, t.answers.c.job_id == t.jobs.c.id)
        with self.store.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query.group_by(t.jobs.c.id))}

    def rows(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        with self.store.reading() as connection:
            return connection.execute(query).all()

    @property
    def logs(self) -> str:
        return "\n".join(f"--- {worker.log.name}\n{worker.said}" for worker in self.workers)


def _writable(path: str) -> bool:
    with closing(sqlite3.connect(path, timeout=0.3, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        connection.execute("ROLLBACK")
        return True


@contextmanager
def fleet(database_url: str, redis: Redis, folder: Path) -> Iterator[Fleet]:
    """A fleet that ends with the block; what must always be true of the tables is checked then."""
    store = Store(database.connect(database_url))
    made = Fleet(store, database_url, redis, folder)
    try:
        yield made
    finally:
        for worker in made.workers:
            worker.kill()
    check(store)
    store.close()
