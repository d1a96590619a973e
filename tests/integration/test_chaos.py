"""Plugs are pulled: workers, engines, Redis and PostgreSQL die and freeze by a seed, and each job ends once.

What happens when is drawn from a seed, which a failed run prints. `CHAOS_SEED=7 make test TESTS=...` draws anew.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
from celery import Celery
from kombu import Connection, Message, Producer
from kombu import Consumer as KombuConsumer

from pipeline import broker
from pipeline import tables as t
from pipeline.jobs import BatchState, Lane, State
from pipeline.queue import TICKET, WINDOW
from pipeline.settings import read_settings
from tests.fleet import PATIENCE_S, FakeWorker, Fleet
from tests.house import draw_many, saying
from tests.servers import Postgres
from workers.leasehold import REAP_EVERY_S
from workers.serving import Quick
from workers.work import Places

log = logging.getLogger(__name__)

SCRIPT = {"step_s": 0.005, "tokens": (10, 60)}
LEASE_S = 1.5
QUESTIONS = [f"Question {number}?" for number in range(5)]
SEEDS = [int(seed) for seed in os.environ.get("CHAOS_SEED", "5").split(",")]
CONTAINER = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts"]
"""A pid namespace of its own and the host name `box`, as containers have them."""

FORMS = [
    *(pytest.param(300, 1, seed, id=f"seed {seed}") for seed in SEEDS),
    *(pytest.param(2_000, 6, seed, marks=pytest.mark.soak, id=f"long, seed {seed}") for seed in range(1, 6)),
]
"""Jobs, how often each disturbance comes, and the seed."""


def of_process(worker: FakeWorker) -> sa.ColumnElement[bool]:
    """The leased row of a worker's process."""
    return (t.workers.c.pid == worker.process.pid) & t.workers.c.lease_until.is_not(None)


def held_by(ships: Fleet, worker: int) -> dict[int, int]:
    """The jobs that a worker holds, with their tokens."""
    query = sa.select(t.jobs.c.id, t.jobs.c.claim_token).where(t.jobs.c.worker_id == worker)
    return {row.id: row.claim_token for row in ships.rows(query)}


def assert_each_ended_once(ships: Fleet, batches: Sequence[int]) -> None:
    """Each job has the right answer and no other one, under the token of its last claim; or a reason."""
    joined = (
        t.jobs.join(t.prompts, t.prompts.c.id == t.jobs.c.prompt_id)
        .join(t.job_images, t.job_images.c.job_id == t.jobs.c.id)
        .outerjoin(t.answers, t.answers.c.job_id == t.jobs.c.id)
    )
    answer = t.answers.c.claim_token.label("answered_under"), t.answers.c.text
    query = sa.select(t.jobs, t.prompts.c.question, t.job_images.c.locator, *answer).select_from(joined)
    rows = ships.rows(query)
    assert len(rows) == len({row.id for row in rows}) == sum(ships.counts(batch).total for batch in batches)
    for row in rows:
        if row.state == State.DONE:
            assert row.answered_under == row.claim_token, row
            assert row.text == saying(row.question, int(Path(row.locator).stem)), row
        else:
            assert (row.state, row.answered_under) == (State.FAILED, None), row
            assert row.error_code and row.error, row
    states = sa.select(t.batches.c.state).where(t.batches.c.id.in_(batches))
    ships.until(lambda: {row.state for row in ships.rows(states)}, lambda found: found == {BatchState.COMPLETED})


# --- chaos ---------------------------------------------------------------------------------------


class Chaos:
    """Disturbs a fleet at work: what, when and whom, the seed decides."""

    def __init__(self, ships: Fleet, seed: int, workers: int, postgres: Postgres | None) -> None:
        self._ships, self._rng, self._postgres = ships, random.Random(seed), postgres
        self.alive = [self._start() for _ in range(workers)]
        self._kinds = [self._kill_worker, self._kill_worker, self._kill_engine, self._freeze_worker]
        self._kinds += [self._restart_redis, self._empty_redis, self._flush_redis]
        self._kinds += [self._restart_postgres] if postgres else []

    def run(self, batch: int, jobs: int, rounds: int) -> None:
        """Every kind `rounds` times, in bursts, while the first four fifths of the jobs end."""
        deck = self._kinds * rounds
        self._rng.shuffle(deck)
        marks = sorted(self._rng.choices(range(jobs // 20, jobs * 4 // 5, max(1, jobs // 60)), k=len(deck)))
        for mark, disturb in zip(marks, deck, strict=True):
            counts = self._ships.wait(batch, lambda counts, mark=mark: counts.total - counts.unfinished >= mark)
            log.warning("%s after %d jobs", disturb.__name__, counts.total - counts.unfinished)
            disturb()

    def _start(self) -> FakeWorker:
        return self._ships.start(ready=False, script=SCRIPT, lease_s=LEASE_S)

    def _kill_worker(self) -> None:
        victim = self._rng.choice(self.alive)
        victim.kill()
        self.alive[self.alive.index(victim)] = self._start()

    def _freeze_worker(self) -> None:
        """It stands still until another one has taken its jobs back."""
        joined = self._ships.until(lambda: [worker for worker in self.alive if self._rows(worker)])
        victim = self._rng.choice(joined)
        self._ships.freeze(victim)
        self._ships.until(lambda: self._rows(victim), lambda rows: not rows)
        victim.signal(signal.SIGCONT)
        victim.wait_for("action=lease_lost")

    def _rows(self, worker: FakeWorker) -> Sequence[sa.Row[tuple[int]]]:
        return self._ships.rows(sa.select(t.workers.c.id).where(of_process(worker)))

    def _kill_engine(self) -> None:
        """It may just not be there."""
        worker = self._rng.choice(self.alive)
        command = ["pgrep", "-P", str(worker.process.pid), "-f", "workers.engine"]
        for pid in subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout.split():
            os.kill(int(pid), signal.SIGKILL)

    def _restart_redis(self) -> None:
        self._ships.redis.kill()
        self._ships.redis.start()

    def _empty_redis(self) -> None:
        self._ships.redis.kill()
        self._ships.redis.start(empty=True)

    def _flush_redis(self) -> None:
        self._ships.redis.client.flushall()

    def _restart_postgres(self) -> None:
        assert self._postgres
        self._postgres.restart()


def disturbed(ships: Fleet, folder: Path, jobs: int, rounds: int, seed: int, **fleet: int | Postgres | None) -> None:
    """A batch under chaos, its end, and that all workers live and stop in order."""
    log.warning("seed %d", seed)
    batch = ships.submit(draw_many(folder / "in", jobs // len(QUESTIONS)), QUESTIONS)
    chaos = Chaos(ships, seed, **fleet)  # type: ignore[arg-type]
    chaos.run(batch, jobs, rounds)
    log.warning("%s", ships.wait(batch))
    assert_each_ended_once(ships, [batch])
    for worker in chaos.alive:
        worker.wait_for("action=ready")
        worker.signal(signal.SIGTERM)
    assert [worker.process.wait(PATIENCE_S) for worker in chaos.alive] == [0] * len(chaos.alive), ships.logs


@pytest.mark.parametrize(("jobs", "rounds", "seed"), FORMS)
def test_three_workers_on_postgres(
    on_postgres: Fleet, postgres: Postgres, tmp_path: Path, jobs: int, rounds: int, seed: int
) -> None:
    disturbed(on_postgres, tmp_path, jobs, rounds, seed, workers=3, postgres=postgres)


@pytest.mark.parametrize(("jobs", "rounds", "seed"), FORMS)
def test_two_workers_on_sqlite(on_sqlite: Fleet, tmp_path: Path, jobs: int, rounds: int, seed: int) -> None:
    disturbed(on_sqlite, tmp_path, jobs, rounds, seed, workers=2, postgres=None)


def test_a_connection_lost_while_it_waits_for_a_ticket_with_one_in_hand(on_sqlite: Fleet) -> None:
    """As Celery alone closes it, that ends the worker: an AttributeError from the second time it does so."""
    tickets, others = broker.declared(["pixmill.fake.normal", "pixmill.fake.low"])
    app = Celery(set_as_current=False)
    app.conf.update(worker_cancel_long_running_tasks_on_connection_loss=True)
    app.conf.update(worker_enable_prefetch_count_reduction=False)
    with Connection(on_sqlite.redis.url) as connection:
        channel = connection.default_channel
        in_hand: list[Message] = []
        KombuConsumer(channel, [tickets], prefetch_count=2, on_message=in_hand.append).consume()
        KombuConsumer(connection.channel(), [others]).consume()  # a worker has more than one channel, too
        Producer(channel).publish([1], routing_key=tickets.name)
        on_sqlite.until(lambda: in_hand or connection.drain_events(timeout=PATIENCE_S))
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.01)  # from now on it waits for another
        on_sqlite.redis.kill()
        consumer = object.__new__(Quick)
        consumer.app, consumer.connection = app, connection
        consumer.on_connection_error_after_connected(ConnectionResetError())
        assert consumer.connection is None


# --- a rolling restart ---------------------------------------------------------------------------


def test_a_rolling_restart_loses_nothing_and_reruns_nothing(on_postgres: Fleet, tmp_path: Path) -> None:
    ships = on_postgres
    old = [ships.start(ready=False, script=SCRIPT) for _ in range(3)]
    for worker in old:
        worker.wait_for("action=ready")
    batch = ships.submit(draw_many(tmp_path / "in", 80), QUESTIONS)
    new: list[FakeWorker] = []
    for worker in old:
        new.append(ships.start(ready=False, script=SCRIPT))
        for earlier in new[:-1]:
            earlier.wait_for("action=ready")
        done = ships.counts(batch).done
        ships.wait(batch, lambda counts, done=done: counts.done > done)
        assert worker.end() == 0, worker.said
    assert ships.counts(batch).unfinished > 0  # or the new ones had nothing to do
    assert ships.wait(batch).done == 400
    assert_each_ended_once(ships, [batch])
    assert ships.rows(sa.select(t.jobs.c.attempts, t.jobs.c.crashes).distinct()) == [(0, 0)]
    assert [worker.end() for worker in new] == [0, 0, 0]


# --- fairness ------------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", [3_000, pytest.param(100_000, marks=pytest.mark.soak)])
def test_a_later_batch_of_ten_waits_for_few_tickets(on_postgres: Fleet, tmp_path: Path, jobs: int) -> None:
    ships = on_postgres
    many = ships.submit(draw_many(tmp_path / "many", jobs // 100), [f"Question {number}?" for number in range(100)])
    ships.start(script={"step_s": 0.002})
    ships.wait(many, lambda counts: counts.done > 50)
    newest = sa.select(sa.func.max(t.answers.c.id))
    few = ships.submit(draw_many(tmp_path / "few", 10), ["Few?"])
    (before,) = ships.rows(newest)[0]
    ships.wait(few)
    tens = sa.select(t.batch_items.c.job_id).where(t.batch_items.c.batch_id == few)
    (last,) = ships.rows(newest.where(t.answers.c.job_id.in_(tens)))[0]
    between = sa.select(sa.func.count()).where(t.answers.c.id > before, t.answers.c.id <= last)
    in_hand = 2 * -(-Places(4).tickets // TICKET)  # begun, and fetched from Redis ahead
    assert ships.rows(between)[0][0] <= (WINDOW + in_hand + 1) * TICKET
    assert ships.counts(many).unfinished > 0


# --- workers that cannot see each other's processes ----------------------------------------------


def contained(ships: Fleet, **options: object) -> tuple[FakeWorker, int]:
    """A worker in a container of the name `box`, where it is process 1; and its row."""
    prefix = [*CONTAINER, "sh", "-c", 'hostname box && exec "$@"', "sh"]
    # Longer than between two looks for dead workers: each has looked before a killed one's lease is over.
    worker = ships.start(prefix=prefix, lease_s=1.5 * REAP_EVERY_S, **options)
    (row,) = ships.rows(sa.select(t.workers).order_by(t.workers.c.id.desc()).limit(1))
    assert (row.host, row.pid) == ("box", 1)
    return worker, row.id


def test_containers_of_one_name_leave_each_other_s_live_jobs(on_postgres: Fleet, tmp_path: Path) -> None:
    tried = subprocess.run([*CONTAINER, "hostname", "box"], capture_output=True, text=True, check=False)
    assert tried.returncode == 0, f"This test needs root and unshare: {tried.stderr}"
    ships = on_postgres
    slow, holder = contained(ships, script={"stall_on": "Stay?"}, lanes=["high"])
    short, victim = contained(ships, script={"stall_on": "Die?"}, lanes=["normal"])
    stay = ships.submit(draw_many(tmp_path / "in", 10), ["Stay?"], lane=Lane.HIGH)
    die = ships.submit(draw_many(tmp_path / "in", 10), ["Die?"])
    held = ships.until(lambda: held_by(ships, holder), lambda found: len(found) == 10)
    ships.until(lambda: held_by(ships, victim), lambda found: len(found) == 10)
    _, other = contained(ships)
    assert len({holder, victim, other}) == 3
    short.kill()  # none of the others can see that: its lease tells
    # Far longer than this test has patience: its tickets do not come back, its jobs go out on new ones.
    assert broker.app(read_settings()).conf.broker_transport_options["visibility_timeout"] > 2 * PATIENCE_S
    assert ships.wait(die).done == 10
    assert held_by(ships, holder) == held  # the other one looked for dead workers, and left this one alone
    assert "action=lease_lost" not in ships.logs
    slow.kill()
    assert ships.wait(stay).done == 10
    assert_each_ended_once(ships, [stay, die])
    assert Counter(row.worker_id for row in ships.rows(sa.select(t.answers.c.worker_id))) == {other: 20}
    assert ships.rows(sa.select(t.jobs.c.attempts, t.jobs.c.crashes).distinct()) == [(0, 0)]
