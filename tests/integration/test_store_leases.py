from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import sqlalchemy as sa

from pipeline import tables as t
from pipeline.errors import WorkerUnknown
from pipeline.owner import Owner
from pipeline.store import Store
from pipeline.store.values import Lease
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
    assert store.renew(world.worker, 60, {"running": 3}) is Lease.HELD
    assert store.renew(world.worker, 60) is Lease.HELD
    row = worker_row(world, world.worker)
    assert (row.lease_until, row.status) == (clock.now + 60, {"running": 3})


def test_a_worker_hears_that_it_is_to_drain_when_it_renews(world: World, store: Store) -> None:
    other = world.another_worker()
    assert store.drain(world.worker)
    assert not store.drain(world.worker)
    assert store.renew(world.worker, 60) is Lease.DRAINING
    assert store.renew(other, 60) is Lease.HELD
    world.join(OWNER)
    assert store.renew(world.worker, 60) is Lease.HELD


def test_a_worker_that_has_ended_is_not_drained(world: World, store: Store) -> None:
    store.leave(world.worker)
    assert not store.drain(world.worker)
    assert not store.drain(99)


def test_workers_are_shown_until_they_have_ended(world: World, store: Store, clock: Clock) -> None:
    silent = world.another_worker(lease_s=10)
    gone = world.another_worker(pid=3)
    store.leave(gone)
    store.drain(world.worker)
    clock.pass_(10)
    assert [(row.id, row.state) for row in store.views.workers()] == [
        (world.worker, "draining"),
        (silent, "lease over"),
    ]
    assert [row.id for row in store.views.status().workers] == [world.worker]
    assert store.views.worker(str(silent)).owner == "here/boot/pid:[1]/2/1"
    assert store.views.worker("here/boot/pid:[1]/1/1").id == world.worker
    for name in (str(gone), "nobody"):
        with pytest.raises(WorkerUnknown, match="pixmill worker ls"):
            store.views.worker(name)


def test_leaving_gives_everything_back(world: World, store: Store) -> None:
    world.submit("a.jpg", "b.jpg")
    world.claim()
    store.leave(world.worker)
    assert world.states() == ["queued", "queued"]
    assert worker_row(world, world.worker).lease_until is None
    assert store.renew(world.worker, 60) is Lease.LOST
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
    assert store.renew(world.worker, 60) is Lease.LOST
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
    assert store.renew(world.worker, 60) is Lease.HELD
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


def test_a_worker_disowns_what_it_never_heard_of(world: World, store: Store) -> None:
    """Its claim was committed, and the answer lost with the connection."""
    world.submit("a.jpg", "b.jpg", "c.jpg")
    known, *unheard = world.claim()
    other = world.another_worker()
    world.submit("d.jpg")
    (others,) = world.claim(worker=other)
    assert store.disown(world.worker, {known.id}) == 2
    assert [world.job(claim.id).state for claim in (known, *unheard, others)] == ["running", *["queued"] * 2, "running"]
    assert world.finish(*map(answer, (known, *unheard))) == {known.id}
    assert {claim.token for claim in world.claim([claim.id for claim in unheard])} == {2}
