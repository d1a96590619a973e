"""Several stores at once: in threads, in processes, killed at any moment."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa

from pipeline import database
from pipeline import tables as t
from pipeline.conditions import Condition
from pipeline.jobs import BatchState, Item
from pipeline.owner import Owner
from pipeline.store import Store
from tests.store_world import OWNER, Clock, World, answer, check, held, spec

JOBS = 300


@pytest.fixture
def stores(database_url: str, clock: Clock) -> Iterator[Callable[[], Store]]:
    """Makes stores of one database, each with connections of its own."""
    made: list[Store] = []

    def make() -> Store:
        made.append(Store(database.connect(database_url), clock=clock))
        return made[-1]

    yield make
    check(made[0])
    for store in made:
        store.close()


def at_once(*actions: Callable[[], object]) -> None:
    """Run them in threads; the first error is raised."""
    errors: list[BaseException] = []
    start = threading.Barrier(len(actions))

    def run(action: Callable[[], object]) -> None:
        try:
            start.wait()
            action()
        except BaseException as error:  # noqa: BLE001  raised below
            errors.append(error)

    threads = [threading.Thread(target=run, args=[action]) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        raise error


def names(count: int) -> list[str]:
    return [f"{number:04}.jpg" for number in range(count)]


def test_two_stores_claim_at_once_and_none_twice(stores: Callable[[], Store], clock: Clock) -> None:
    world = World(stores(), clock)
    world.submit(*names(JOBS))
    ids = world.ids()
    claimed: list[tuple[int, int]] = []

    def take(pid: int) -> None:
        store = stores()
        worker = store.join(replace(OWNER, pid=pid), model="m", device="CPU", build=world.build, lease_s=60)
        order = ids if pid % 2 else ids[::-1]
        for start in range(0, JOBS, 10):
            claims = store.claim(order[start : start + 10], worker)
            claimed.extend(held(*claims))
            endings = [answer(claim) for claim in claims]
            assert len(store.finish(endings, worker=worker, build=world.build, runtime=world.runtime)) == len(claims)

    at_once(*(lambda pid=pid: take(pid) for pid in (11, 12, 13)))
    assert sorted(claimed) == [(id, 1) for id in ids]
    assert set(world.states()) == {"done"}


def test_two_stores_ask_for_tickets_at_once_and_share(stores: Callable[[], Store], clock: Clock) -> None:
    world = World(stores(), clock)
    world.submit(*names(160))
    handed: list[int] = []

    def ask() -> None:
        store = stores()
        while tickets := store.tickets("m", size=4, count=2):
            handed.extend(id for ticket in tickets for id in ticket.ids)

    at_once(ask, ask, ask)
    assert sorted(handed) == world.ids()


def test_the_same_folder_is_submitted_twice_at_once(stores: Callable[[], Store], clock: Clock) -> None:
    world = World(stores(), clock)
    specs = [spec(name) for name in names(JOBS)]
    counts: Counter[str] = Counter()

    def submit(order: list[int]) -> None:
        other = World.__new__(World)
        other.store, other.clock = stores(), clock
        batch = other.open()
        for start in range(0, JOBS, 50):
            added = other.add(batch, *(specs[n] for n in order[start : start + 50]), first=start)
            counts.update(new=added.new, linked=added.linked_pending)
        other.store.seal(batch, JOBS)

    forward = list(range(JOBS))
    at_once(lambda: submit(forward), lambda: submit(forward[::-1]))
    assert (counts["new"], counts["linked"]) == (JOBS, JOBS)
    assert len(world.ids()) == JOBS


def test_jobs_end_while_they_are_linked_paused_and_cancelled(stores: Callable[[], Store], clock: Clock) -> None:
    """Whoever comes first: no item stays open whose job has ended, no job waits that nobody wants."""
    world = World(stores(), clock)
    first = world.submit(*names(JOBS))
    others: list[int] = []

    def work() -> None:
        for start in range(0, JOBS, 20):
            claims = world.claim(world.ids(first)[start : start + 20])
            world.finish(*map(answer, claims[:15]))
            for claim in claims[15:18]:
                world.fail(claim, "fetch_failed")
            world.store.give_back(held(*claims[18:]))

    def link() -> None:
        other = World.__new__(World)
        other.store, other.clock = stores(), clock
        for start in range(0, JOBS, 30):
            batch = other.open()
            others.append(batch)
            other.add(batch, *map(spec, names(JOBS)[start : start + 60]))
            other.store.seal(batch, 60)

    def decide() -> None:
        store = stores()
        for _ in range(15):
            for batch in others[-3:]:
                store.set_batch_state(batch, BatchState.PAUSED)
                store.set_batch_state(batch, BatchState.IN_PROGRESS)
            for batch in others[::4]:
                store.set_batch_state(batch, BatchState.CANCELLED)
            store.settle()

    at_once(work, link, decide)


IS_CAT = (Condition(ask=0, values=("a cat",)), Condition(ask=1, values=("a cat",)))


def rows(*pictures: str) -> list[Item]:
    """Two questions about each picture, and one that is asked when both have their answer."""
    when = ((), (), IS_CAT)
    return [
        Item(spec=spec(name, f"{ask}?"), row=row, ask=ask, when=when[ask])
        for row, name in enumerate(pictures)
        for ask in range(3)
    ]


def followed(world: World, batch: int) -> list[int]:
    """The rows of which the follow-up question is asked."""
    query = sa.select(t.batch_items.c.row_no).where(t.batch_items.c.batch_id == batch, t.batch_items.c.ask_no == 2)
    return [row.row_no for row in world.rows(query.order_by(t.batch_items.c.row_no))]


def test_two_answers_that_decide_together_come_at_once(stores: Callable[[], Store], clock: Clock) -> None:
    """Neither sees the other, and one of them asks the question all the same; also where it is being submitted."""
    world = World(stores(), clock)
    pictures = names(60)
    first = world.open()
    world.store.add(first, rows(*pictures))
    world.store.seal(first, 60)
    claims = world.claim()
    others: list[int] = []
    together = threading.Barrier(2)

    def finish(ask: int) -> None:
        store = stores()
        for claim in [claim for claim in claims if claim.prompt.question == f"{ask}?"]:
            together.wait(timeout=60)
            store.finish([answer(claim)], worker=world.worker, build=world.build, runtime=world.runtime)

    def link() -> None:
        store = stores()
        for start in range(0, 60, 10):
            batch = store.open_batch(None, origin="run", spec={}).id
            others.append(batch)
            store.add(batch, rows(*pictures[start : start + 10]))
            store.seal(batch, 10)

    at_once(lambda: finish(0), lambda: finish(1), link)
    assert followed(world, first) == list(range(60))
    assert [followed(world, batch) for batch in others] == [list(range(10))] * 6
    assert len(world.ids()) == 180


def test_two_names_are_opened_at_once(stores: Callable[[], Store]) -> None:
    made: list[int] = []
    opening = [stores() for _ in range(4)]
    at_once(
        *(
            lambda store=store: made.append(store.open_batch("mine", origin="run", spec={"a": 1}).id)
            for store in opening
        )
    )
    assert len(set(made)) == 1


def test_one_picture_is_finished_by_two_stores_at_once(stores: Callable[[], Store], clock: Clock) -> None:
    world = World(stores(), clock)
    world.submit(*names(100))
    claims = world.claim()

    def finish(mine: slice) -> None:
        for claim in claims[mine]:
            store.finish([answer(claim)], worker=world.worker, build=world.build, runtime=world.runtime)

    store = stores()
    at_once(lambda: finish(slice(0, 100, 2)), lambda: finish(slice(1, 100, 2)))
    assert set(world.states()) == {"done"}
    assert len(world.rows(sa.select(t.images))) == 1


# --- processes ---------------------------------------------------------------------------------

WORK = """
import sys
from pipeline import database
from pipeline.owner import Owner
from pipeline.store import Store
from tests.store_world import FACTS, RUNTIME, answer

store = Store(database.connect(sys.argv[1]))
build, runtime = store.register_build(FACTS), store.register_runtime(RUNTIME)
worker = store.join(Owner.current(), model="m", device="CPU", build=build, lease_s=600)
print("ready", flush=True)
while True:
    store.reap(Owner.current())
    tickets = store.tickets("m", count=2) or store.tickets("m", count=2, again=True)
    if not tickets:
        break
    for ticket in tickets:
        claims = store.claim(ticket.ids, worker)
        store.finish([answer(claim) for claim in claims], worker=worker, build=build, runtime=runtime)
store.leave(worker)
store.close()
"""


def start_work(url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORK, url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, said = process.communicate()
    return process.returncode, said


def test_two_processes_share_the_work(database_url: str) -> None:
    store = Store(database.connect(database_url))
    world = World(store, Clock())
    store.leave(world.worker)
    world.submit(*names(JOBS * 3))
    processes = [start_work(database_url) for _ in range(2)]
    assert [ended(process) for process in processes] == [(0, ""), (0, "")]
    assert set(world.states()) == {"done"}
    assert len(world.answers()) == JOBS * 3
    check(store)
    store.close()


def test_a_killed_process_leaves_nothing_half_done(database_url: str) -> None:
    """Killed wherever it happens to be, twice; whoever comes next takes over and finishes."""
    store = Store(database.connect(database_url))
    world = World(store, Clock())
    store.leave(world.worker)
    world.submit(*names(JOBS * 2))
    for _ in range(2):
        process = start_work(database_url)
        assert process.stdout is not None
        process.stdout.readline()
        done = len(world.answers())
        while process.poll() is None and len(world.answers()) == done:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        check(store)
    assert ended(start_work(database_url)) == (0, "")
    assert set(world.states()) == {"done"}
    assert sorted(row.job_id for row in world.answers()) == world.ids()
    check(store)
    store.close()


def test_a_killed_process_loses_no_follow_up(database_url: str) -> None:
    store = Store(database.connect(database_url))
    world = World(store, Clock())
    store.leave(world.worker)
    batch = world.open()
    store.add(batch, rows(*names(JOBS)))
    store.seal(batch, JOBS)
    for _ in range(2):
        process = start_work(database_url)
        assert process.stdout is not None
        process.stdout.readline()
        done = len(world.answers())
        while process.poll() is None and len(world.answers()) == done:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        check(store)
    assert ended(start_work(database_url)) == (0, "")
    assert followed(world, batch) == list(range(JOBS))
    assert set(world.states()) == {"done"}
    check(store)
    store.close()


# --- the database's own clock --------------------------------------------------------------------


def test_without_a_clock_of_the_test_leases_run_by_the_databases(database_url: str) -> None:
    store = Store(database.connect(database_url))
    world = World(store, Clock())
    other = store.join(replace(OWNER, host="there", boot_id="other"), model="m", device="CPU", build=None, lease_s=-1)
    world.submit("a.jpg")
    assert len(world.claim(worker=other)) == 1
    assert store.reap(Owner.current()) == 1
    (claim,) = world.claim()
    assert 0 <= claim.queued_s < 60
    store.close()
