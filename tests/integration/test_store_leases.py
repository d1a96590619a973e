from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import sqlalchemy as sa

from pipeline import tables as t
from pipeline.owner import Owner
from pipeline.store import Store
from tests.store_world import OWNER, Clock, World, answer, held

ME = replace(OWNER, host="there", boot_id="another", pid=77)


def worker_row(world: World, id: int) -> sa.Row[tuple[int, str]]:
    return world.rows(sa.select(t.workers).where(t.workers.c.id == id))[0]


def test_a_worker_is_known_by_its_process(world: World, clock: Clock) -> None:
    row = worker_row(world, world.worker)
    assert (row.owner, row.host, row.boot_id, row.pid_namespace, row.pid, row.pid_started) == (
        "here/boot/pid:[1]/1/1",
        *("here", "boot", "pid:[1]", 1, 1),
    )
    assert (row.model, row.device, row.build_id, row.lease_until) == ("m", "CPU", world.build, clock.now + 60)


def test_a_process_that_joins_again_is_the_same_worker(world: World) -> None:
    assert world.join(OWNER, device="GPU.0") == world.worker
    assert worker_row(world, world.worker).device == "GPU.0"


def test_renewing_moves_the_lease_and_tells_how_it_goes(world: World, store: Store, clock: Clock) -> None:
    clock.pass_(50)
    assert store.renew(world.worker, 60, {"running": 3})
    assert store.renew(world.worker, 60)
    row = worker_row(world, world.worker)
    assert (row.lease_until, row.status) == (clock.now + 60, {"running": 3})


def test_leaving_gives_everything_back(world: World, store: Store) -> None:
    world.submit("a.jpg", "b.jpg")
    world.claim()
    store.leave(world.worker)
    assert world.states() == ["queued", "queued"]
    assert worker_row(world, world.worker).lease_until is None
    assert not store.renew(world.worker, 60)
    store.leave(world.worker)


def test_an_expired_lease_is_taken_back(world: World, store: Store, clock: Clock) -> None:
    world.submit("a.jpg", "b.jpg")
    a, b = world.claim()
    world.finish(answer(a))
    clock.pass_(59)
    assert store.reap(ME) == 0
    clock.pass_(1)
    assert store.reap(ME) == 1
    job = world.job(b.id)
    assert (job.state, job.attempts, job.crashes) == ("queued", 0, 0)
    assert not store.renew(world.worker, 60)
    assert world.finish(answer(b)) == set()
    assert store.reap(ME) == 0


def test_a_renewed_lease_is_left_alone(world: World, store: Store, clock: Clock) -> None:
    world.submit("a.jpg")
    world.claim()
    clock.pass_(59)
    store.renew(world.worker, 60)
    clock.pass_(59)
    assert store.reap(ME) == 0
    assert world.states() == ["running"]


def test_nobody_reaps_himself(world: World, store: Store, clock: Clock) -> None:
    world.submit("a.jpg")
    (claim,) = world.claim()
    clock.pass_(100)
    assert store.reap(OWNER) == 0
    assert store.renew(world.worker, 60)
    assert world.finish(answer(claim)) == {claim.id}


@pytest.fixture
def ended() -> Owner:
    """A process that was here and has ended."""
    source = "from pipeline.owner import Owner; o = Owner.current(); print(o.pid, o.pid_started)"
    said = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout.split()
    pid, started = map(int, said)
    return replace(Owner.current(), pid=pid, pid_started=started)


def test_a_dead_owner_on_this_machine_is_taken_back_at_once(world: World, store: Store, ended: Owner) -> None:
    world.submit("a.jpg")
    world.claim(worker=world.join(ended))
    assert store.reap(Owner.current()) == 1
    assert world.states() == ["queued"]


@pytest.mark.parametrize("elsewhere", [{"boot_id": "another"}, {"pid_namespace": "pid:[7]"}])
def test_who_cannot_be_seen_from_here_is_given_the_lease(
    world: World, store: Store, ended: Owner, elsewhere: dict[str, str]
) -> None:
    world.submit("a.jpg")
    world.claim(worker=world.join(replace(ended, **elsewhere)))  # type: ignore[arg-type]
    assert store.reap(Owner.current()) == 0
    assert world.states() == ["running"]


def test_another_process_with_the_same_pid_does_not_keep_the_jobs(world: World, store: Store) -> None:
    me = Owner.current()
    world.submit("a.jpg")
    world.claim(worker=world.join(replace(me, pid_started=me.pid_started - 1)))
    assert store.reap(me) == 1


def test_a_living_neighbour_keeps_its_jobs(world: World, store: Store) -> None:
    me = Owner.current()
    world.submit("a.jpg")
    (claim,) = world.claim(worker=world.join(me))
    assert store.reap(ME) == 0
    assert store.reap(replace(me, pid=1)) == 0
    store.give_back(held(claim))
