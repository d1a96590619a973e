"""Workers on Celery: real processes with the fake engine, a real Redis, SQLite and PostgreSQL."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from base64 import b64encode
from collections import Counter
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from pipeline import tables as t
from pipeline.broker import queue_name
from pipeline.jobs import Lane
from tests import servers
from tests.fleet import PATIENCE_S, Fleet
from tests.house import draw_many, saying
from tests.servers import Postgres

CELERY = Path(sys.executable).with_name("celery")
SLOW = {"step_s": 0.02, "tokens": (2, 6)}


def held(ships: Fleet, worker: int) -> int:
    return len(ships.rows(sa.select(t.jobs.c.id).where(t.jobs.c.worker_id == worker)))


def worker_ids(ships: Fleet) -> list[int]:
    return [row.id for row in ships.rows(sa.select(t.workers.c.id).order_by(t.workers.c.id))]


def assert_each_answered_once(ships: Fleet, count: int) -> None:
    assert Counter(ships.answered().values()) == {1: count}, ships.logs


# --- the normal way ------------------------------------------------------------------------------


def test_two_workers_answer_each_job_once(ships: Fleet, tmp_path: Path) -> None:
    one, two = ships.start(ready=False, script=SLOW), ships.start(ready=False, script=SLOW)
    one.wait_for("action=ready")
    two.wait_for("action=ready")
    batch = ships.submit(draw_many(tmp_path / "in", 60), ["What?", "Where?"])
    assert ships.wait(batch).done == 120
    assert_each_answered_once(ships, 120)
    texts = Counter(row.text for row in ships.store.views.answers())
    assert texts == Counter(saying(question, n) for n in range(60) for question in ("What?", "Where?"))
    assert len(set(ships.rows(sa.select(t.answers.c.worker_id)))) == 2
    assert (one.end(), two.end()) == (0, 0)
    assert ships.redis.client.hlen("unacked") == 0
    assert set(ships.queue.standing().values()) == {0}


def test_a_later_small_batch_waits_for_few_tickets(on_sqlite: Fleet, tmp_path: Path) -> None:
    on_sqlite.start(script={"step_s": 0.002})
    many = on_sqlite.submit(draw_many(tmp_path / "many", 1500))
    on_sqlite.wait(many, lambda counts: counts.done > 50)
    before = on_sqlite.counts(many).done
    few = on_sqlite.submit(draw_many(tmp_path / "many", 10), ["Few?"])
    on_sqlite.wait(few)
    assert on_sqlite.counts(many).done - before < 1000


def test_a_worker_of_the_high_lane_leaves_the_rest(on_sqlite: Fleet, tmp_path: Path) -> None:
    on_sqlite.start(lanes=["high"])
    normal = on_sqlite.submit(draw_many(tmp_path / "in", 30))
    high = on_sqlite.submit(draw_many(tmp_path / "in", 5), ["Now?"], lane=Lane.HIGH)
    on_sqlite.wait(high)
    assert on_sqlite.counts(normal).done == 0
    on_sqlite.start()
    on_sqlite.wait(normal)


# --- workers that die, freeze and stop -----------------------------------------------------------


def test_a_killed_worker_s_jobs_are_answered_by_another(ships: Fleet, tmp_path: Path) -> None:
    victim = ships.start(script=SLOW)
    batch = ships.submit(draw_many(tmp_path / "in", 80))
    (id,) = worker_ids(ships)
    ships.until(lambda: held(ships, id), lambda count: count > 5)
    victim.kill()
    assert held(ships, id) > 0
    ships.start(script=SLOW, ready=False)
    assert ships.wait(batch).done == 80
    assert_each_answered_once(ships, 80)
    attempts = ships.rows(sa.select(t.jobs.c.attempts, t.jobs.c.crashes).distinct())
    assert attempts == [(0, 0)]


def test_a_frozen_worker_writes_nothing_under_a_stale_token(ships: Fleet, tmp_path: Path) -> None:
    frozen = ships.start(script=SLOW, lease_s=1.0)
    batch = ships.submit(draw_many(tmp_path / "in", 60))
    (id,) = worker_ids(ships)
    ships.until(lambda: held(ships, id), lambda count: count > 5)
    ships.freeze(frozen)
    second = ships.start(script=SLOW, ready=False)
    assert ships.wait(batch).done == 60
    frozen.signal(signal.SIGCONT)
    frozen.wait_for("action=lease_lost")
    assert_each_answered_once(ships, 60)
    assert second.end() == 0
    later = ships.submit(draw_many(tmp_path / "in", 10), ["And now?"])
    assert ships.wait(later).done == 10  # it works on


def test_sigterm_finishes_what_runs_and_gives_back_the_rest(on_sqlite: Fleet, tmp_path: Path) -> None:
    worker = on_sqlite.start(script={"step_s": 0.1, "tokens": (3, 3)})
    batch = on_sqlite.submit(draw_many(tmp_path / "in", 100))
    on_sqlite.wait(batch, lambda counts: counts.done > 0)
    assert worker.end() == 0
    counts = on_sqlite.counts(batch)
    assert counts.running == 0
    assert counts.done + counts.queued == 100
    assert 0 < counts.done < 60
    assert on_sqlite.rows(sa.select(t.jobs.c.attempts).distinct()) == [(0,)]
    on_sqlite.start()
    on_sqlite.wait(batch)
    assert_each_answered_once(on_sqlite, 100)


def test_the_grace_ends_and_a_second_signal_ends_it_at_once(on_sqlite: Fleet, tmp_path: Path) -> None:
    paths = draw_many(tmp_path / "in", 10)
    for options, times in (({"grace_s": 0.2}, 1), ({}, 2)):
        worker = on_sqlite.start(script={"stall_on": "What?"}, **options)
        batch = on_sqlite.submit(paths)
        on_sqlite.wait(batch, lambda counts: counts.running > 0)
        assert worker.end(times=times) == 0
        assert on_sqlite.counts(batch).queued == 10


def test_an_engine_that_does_not_start_ends_the_worker_with_the_reason(on_sqlite: Fleet) -> None:
    worker = on_sqlite.start(ready=False, script={"no_such_word": 1})
    assert worker.process.wait(PATIENCE_S) == 1
    assert "Error: The engine did not start" in worker.said


# --- servers that come and go --------------------------------------------------------------------


def test_redis_comes_back_empty_and_is_flushed(on_sqlite: Fleet, tmp_path: Path) -> None:
    on_sqlite.start(script=SLOW)
    batch = on_sqlite.submit(draw_many(tmp_path / "in", 150))
    on_sqlite.wait(batch, lambda counts: counts.done > 10)
    on_sqlite.redis.kill()
    on_sqlite.redis.start(empty=True)
    done = on_sqlite.counts(batch).done
    on_sqlite.wait(batch, lambda counts: counts.done > done)
    on_sqlite.redis.client.flushall()
    assert on_sqlite.wait(batch).done == 150
    assert_each_answered_once(on_sqlite, 150)


def test_what_is_submitted_while_redis_is_down_is_answered_when_it_is_back(on_sqlite: Fleet, tmp_path: Path) -> None:
    worker = on_sqlite.start()
    on_sqlite.redis.kill()
    worker.wait_for("action=broker_away")
    batch = on_sqlite.submit(draw_many(tmp_path / "in", 20))
    assert on_sqlite.counts(batch).queued == 20
    on_sqlite.redis.start(empty=True)
    assert on_sqlite.wait(batch).done == 20


def test_a_worker_outlives_its_database(on_postgres: Fleet, postgres: Postgres, tmp_path: Path) -> None:
    worker = on_postgres.start(script=SLOW)
    batch = on_postgres.submit(draw_many(tmp_path / "in", 100))
    on_postgres.wait(batch, lambda counts: counts.done > 20)
    postgres.restart()
    assert on_postgres.wait(batch).done == 100
    assert_each_answered_once(on_postgres, 100)
    assert "action=database_back" in worker.said
    assert worker.end() == 0


def test_a_worker_that_starts_before_its_database_waits_for_it(
    on_postgres: Fleet, postgres: Postgres, tmp_path: Path
) -> None:
    batch = on_postgres.submit(draw_many(tmp_path / "in", 4))
    postgres.stop()
    try:
        worker = on_postgres.start(ready=False)
        worker.wait_for("action=database_away")
    finally:
        postgres.start()
    assert on_postgres.wait(batch).done == 4
    assert worker.end() == 0


# --- messages that are no tickets ----------------------------------------------------------------


def message(body: Any, *, task: str = "pixmill.answer", content: str = "application/json", **headers: Any) -> bytes:
    """A message as Celery sends it, with whatever inside."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    fixed = {"lang": "py", "task": task, "id": "forged", "root_id": "forged", "parent_id": None, "group": None}
    properties = {
        "correlation_id": "forged",
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": "pixmill.fake.normal"},
        "priority": 0,
        "body_encoding": "base64",
        "delivery_tag": os.urandom(8).hex(),
    }
    envelope = {
        "body": b64encode(raw).decode(),
        "content-encoding": "utf-8",
        "content-type": content,
        "headers": {**fixed, **headers},
        "properties": properties,
    }
    return json.dumps(envelope).encode()


def ticket(*args: Any, **named: Any) -> bytes:
    return message([list(args), named, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])


class Mischief:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("touch /tmp/pixmill-was-here",))


REFUSED = {
    "no argument": ticket(),
    "no list": ticket("1,2"),
    "a path": ticket(["/etc/passwd"]),
    "a mapping": ticket({"ids": [1]}),
    "true": ticket([True]),
    "negative": ticket([-1, 0]),
    "no integer": ticket([1.0, None]),
    "beyond 64 bits": ticket([2**63]),
    "nested": ticket([[1]]),
    "a million": ticket(list(range(1, 1_000_001))),
    "two arguments": ticket([1], [2]),
    "another name for it": ticket(ids=[1]),
    "lines": ticket("\ntime=now level=error action=forged"),
    "another task": message([[[1]], {}, {}], task="os.system"),
    "pickle": message(pickle.dumps(Mischief()), content="application/x-python-serialize"),
    "no JSON": message(b"{{{"),
    "no text": message(b"\xff\xfe\0"),
    "no message": b"hello",
    "another encoding": b"\xff\xfe\0",
    "nothing": b"",
    "no object": b"[1, 2]",
    "no envelope": b"{}",
    "too deep": b"[" * 100_000,
    "no body of three parts": message([[1]]),
    "no tag": message([[[1]], {}, {}]).replace(b"delivery_tag", b"delivery_bag"),
    "no list of headers": b'{"body": "", "headers": "task", "properties": {"delivery_tag": "x"}}',
}


def test_forged_tickets_are_refused_and_harm_nothing(on_sqlite: Fleet, tmp_path: Path) -> None:
    worker = on_sqlite.start()
    client, name = on_sqlite.redis.client, queue_name("fake", Lane.NORMAL)
    odd = message([[[10**9]], {}, {}], timelimit="soon", eta=[1], stamped_headers=7)
    for raw in (*REFUSED.values(), ticket([10**9, 7, 7]), odd):
        client.lpush(name, raw)
    batch = on_sqlite.submit(draw_many(tmp_path / "in", 20))
    assert on_sqlite.wait(batch).done == 20
    on_sqlite.until(lambda: (client.llen(name), client.hlen("unacked")), lambda left: left == (0, 0))
    assert worker.said.count("action=ticket_refused") == len(REFUSED), worker.said
    assert all(line.startswith("time=") for line in worker.said.splitlines()), worker.said
    assert len(worker.said) < 100_000
    assert not Path("/tmp/pixmill-was-here").exists()
    assert worker.end() == 0


# --- Celery's own commands -----------------------------------------------------------------------


def celery(ships: Fleet, *words: str) -> str:
    command = [CELERY, "-A", "workers.app", *words]
    environment = {**os.environ, **ships.environment}
    done = subprocess.run(command, env=environment, cwd=ships.folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_celery_s_commands_see_workers_and_tickets(on_sqlite: Fleet, tmp_path: Path) -> None:
    worker = on_sqlite.start(script={"stall_on": "What?"})
    batch = on_sqlite.submit(draw_many(tmp_path / "in", 300))
    on_sqlite.wait(batch, lambda counts: counts.running > 0)
    assert "1 node online" in celery(on_sqlite, "status")
    (active,) = json.loads(celery(on_sqlite, "inspect", "active", "--json").splitlines()[0]).values()
    assert {row["name"] for row in active} == {"pixmill.answer"}
    client, name = on_sqlite.redis.client, queue_name("fake", Lane.NORMAL)
    assert client.llen(name) > 0
    worker.kill()  # or it would send new ones at once
    assert "from 1 known task queue" in celery(on_sqlite, "purge", "-f")
    assert client.llen(name) == 0
    on_sqlite.start(ready=False)
    assert on_sqlite.wait(batch).done == 300


def test_no_log_names_a_password(on_sqlite: Fleet, tmp_path: Path) -> None:
    with servers.redis(password="geheim") as server:
        on_sqlite.redis = server
        worker = on_sqlite.start()
        assert "geheim" not in Path(f"/proc/{worker.process.pid}/cmdline").read_text()
        for command in (["inspect", "stats"], ["inspect", "conf"], ["report"]):
            assert "geheim" not in celery(on_sqlite, *command)
        server.kill()
        worker.wait_for("action=broker_away broker=redis://:***@127.0.0.1")
        assert worker.end() == 0
        assert "geheim" not in worker.said


def test_celery_s_own_worker_is_refused(on_sqlite: Fleet) -> None:
    assert "pixmill worker run -m MODEL" in celery(on_sqlite, "worker")
