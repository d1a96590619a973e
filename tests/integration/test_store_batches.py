from __future__ import annotations

import pytest

from pipeline.errors import BatchUnknown
from pipeline.jobs import BatchState, Lane
from pipeline.store import Store
from pipeline.store.values import Moved
from tests.store_world import Clock, World, answer, held, spec

PAUSED, IN_PROGRESS, CANCELLED = BatchState.PAUSED, BatchState.IN_PROGRESS, BatchState.CANCELLED


def test_a_batch_completes_when_each_item_has_ended(world: World, store: Store, clock: Clock) -> None:
    batch = world.submit("a.jpg", "b.jpg")
    a, b = world.claim()
    assert store.settle() == []
    world.finish(answer(a))
    world.fail(b, "image_missing")
    clock.pass_(3)
    assert store.settle() == [batch]
    assert (world.batch(batch).state, world.batch(batch).finished) == ("completed", clock.now)
    assert store.settle() == []


def test_a_batch_that_is_still_submitted_does_not_complete(world: World, store: Store) -> None:
    batch = world.open()
    world.add(batch, spec("a.jpg"))
    world.finish(*map(answer, world.claim()))
    assert store.settle() == []
    store.seal(batch, 1)
    assert store.settle() == [batch]


def test_a_batch_of_nothing_completes(world: World, store: Store) -> None:
    batch = world.submit()
    assert store.settle() == [batch]


def test_a_batch_of_known_answers_completes_at_once(world: World, store: Store) -> None:
    world.do("a.jpg")
    store.settle()
    batch = world.submit("a.jpg")
    assert store.settle() == [batch]


# --- pause -------------------------------------------------------------------------------------


def test_a_paused_batch_is_not_worked_on(world: World, store: Store) -> None:
    batch = world.submit("a.jpg")
    assert store.set_batch_state(batch, PAUSED)
    assert store.set_batch_state(batch, PAUSED) is None
    assert world.tickets("m") == []
    assert world.claim() == []
    assert store.set_batch_state(batch, IN_PROGRESS)
    assert world.tickets("m") == [world.ids()]
    assert len(world.claim()) == 1


def test_a_resumed_batch_gets_new_tickets_for_those_that_came_to_nothing(world: World, store: Store) -> None:
    batch = world.submit("a.jpg", "b.jpg")
    (ids,) = world.tickets("m")
    store.set_batch_state(batch, PAUSED)
    assert world.claim(ids) == []  # a worker took it up during the pause
    store.set_batch_state(batch, IN_PROGRESS)
    assert world.tickets("m") == [world.ids()]


def test_what_hung_on_a_batch_is_counted(world: World, store: Store) -> None:
    batch = world.submit("done.jpg", "mine.jpg", "mine too.jpg", "shared.jpg", "shared too.jpg", "waits.jpg")
    world.submit("shared.jpg", "shared too.jpg")
    done, mine, *_ = world.claim(world.ids(batch)[:4])
    world.finish(answer(done))
    paused = store.set_batch_state(batch, PAUSED)
    assert paused == Moved(open=5, shared=2, running=2)
    assert store.set_batch_state(batch, IN_PROGRESS) == paused
    world.finish(answer(mine))
    assert store.set_batch_state(batch, CANCELLED) == Moved(open=4, shared=2, running=1)


def test_a_job_that_only_a_paused_batch_wants_does_not_go_on(world: World, store: Store) -> None:
    first, second = world.submit("a.jpg"), world.submit("a.jpg")
    store.set_batch_state(first, PAUSED)
    assert store.set_batch_state(second, PAUSED) == Moved(open=1, shared=0, running=0)
    assert store.set_batch_state(second, CANCELLED) == Moved(open=1, shared=1, running=0)


def test_a_job_runs_while_one_batch_that_wants_it_is_live(world: World, store: Store) -> None:
    first = world.submit("a.jpg")
    second = world.submit("a.jpg")
    store.set_batch_state(first, PAUSED)
    assert world.tickets("m") == [world.ids()]
    store.set_batch_state(second, PAUSED)
    assert world.claim() == []
    store.set_batch_state(second, CANCELLED)
    assert world.states() == ["queued"]


def test_a_running_job_of_a_paused_batch_may_end(world: World, store: Store) -> None:
    batch = world.submit("a.jpg", "b.jpg")
    a, b = world.claim()
    store.set_batch_state(batch, PAUSED)
    assert store.unwanted(world.worker) == []
    assert world.finish(answer(a)) == {a.id}
    store.give_back(held(b))
    assert world.states() == ["done", "queued"]


@pytest.mark.parametrize("state", [PAUSED, IN_PROGRESS, CANCELLED])
def test_what_has_ended_stays_ended(world: World, store: Store, state: BatchState) -> None:
    batch = world.submit()
    store.settle()
    assert not store.set_batch_state(batch, state)
    assert world.batch(batch).state == "completed"


def test_there_must_be_such_a_batch(store: Store) -> None:
    with pytest.raises(BatchUnknown):
        store.set_batch_state(99, PAUSED)


# --- cancel ------------------------------------------------------------------------------------


def test_cancel_ends_what_waits(world: World, store: Store, clock: Clock) -> None:
    batch = world.submit("a.jpg", "b.jpg")
    world.finish(*map(answer, world.claim(world.ids()[:1])))
    assert store.set_batch_state(batch, CANCELLED)
    assert world.states() == ["done", "cancelled"]
    job = world.job(world.ids()[1])
    assert (job.error_code, job.error) == ("cancelled", "cancelled")
    assert world.batch(batch).finished == clock.now


def test_cancel_spares_what_another_batch_wants(world: World, store: Store) -> None:
    first = world.submit("shared.jpg", "own.jpg")
    second = world.submit("shared.jpg")
    store.set_batch_state(first, CANCELLED)
    assert world.states(first) == ["queued", "cancelled"]
    store.set_batch_state(second, CANCELLED)
    assert world.states(second) == ["cancelled"]


def test_cancel_shows_what_to_stop_in_the_engine(world: World, store: Store) -> None:
    first = world.submit("shared.jpg", "own.jpg")
    world.submit("shared.jpg")
    _, own = world.claim()
    assert store.unwanted(world.worker) == []
    store.set_batch_state(first, CANCELLED)
    assert store.unwanted(world.worker) == [own.id]
    assert world.fail(own, "cancelled") == "cancelled"
    assert world.job(own.id).error_code == "cancelled"
    assert store.unwanted(world.worker) == []


def test_a_job_stopped_by_mistake_runs_again(world: World, store: Store) -> None:
    first = world.submit("a.jpg")
    (claim,) = world.claim()
    store.set_batch_state(first, CANCELLED)
    world.submit("a.jpg")
    assert world.fail(claim, "cancelled") == "queued"


def test_an_answer_that_comes_too_late_is_kept(world: World, store: Store) -> None:
    batch = world.submit("a.jpg")
    (claim,) = world.claim()
    store.set_batch_state(batch, CANCELLED)
    assert world.finish(answer(claim)) == {claim.id}
    assert world.states() == ["done"]


def test_a_job_given_back_after_its_batch_was_cancelled_ends(world: World, store: Store) -> None:
    batch = world.submit("back.jpg", "failed.jpg", "left.jpg")
    back, failed, _left = world.claim()
    store.set_batch_state(batch, CANCELLED)
    store.give_back(held(back))
    assert world.fail(failed, "fetch_failed") == "cancelled"
    store.leave(world.worker)
    assert world.states() == ["cancelled"] * 3


def test_what_is_added_to_a_cancelled_batch_ends_at_once(world: World, store: Store) -> None:
    batch = world.open()
    store.set_batch_state(batch, CANCELLED)
    world.add(batch, spec("a.jpg"))
    assert world.states() == ["cancelled"]
    store.seal(batch, 1)
    assert world.batch(batch).state == "cancelled"
    assert world.states() == ["cancelled"]


def test_what_is_added_to_a_cancelled_batch_goes_on_for_others(world: World, store: Store) -> None:
    batch, other = world.open(), world.submit("a.jpg")
    store.set_batch_state(batch, CANCELLED)
    world.add(batch, spec("a.jpg"), spec("b.jpg"))
    assert world.states(batch) == ["queued", "cancelled"]
    store.set_batch_state(other, CANCELLED)
    assert world.states(batch) == ["cancelled", "cancelled"]


# --- deadlines ---------------------------------------------------------------------------------


def test_after_the_deadline_nothing_is_claimed(world: World, store: Store, clock: Clock) -> None:
    batch = world.submit("a.jpg", deadline=clock.now + 10)
    clock.pass_(9)
    (claim,) = world.claim()
    store.give_back(held(claim))
    clock.pass_(1)
    assert world.tickets("m") == []
    assert world.claim() == []
    assert store.settle() == [batch]
    assert world.batch(batch).state == "expired"
    job = world.job(world.ids()[0])
    assert (job.state, job.error_code) == ("cancelled", "deadline_passed")
    assert job.error == "the batch's deadline passed first"


def test_a_deadline_spares_what_another_batch_wants(world: World, store: Store, clock: Clock) -> None:
    first = world.submit("shared.jpg", "own.jpg", deadline=clock.now + 10)
    world.submit("shared.jpg")
    clock.pass_(10)
    assert store.settle() == [first]
    assert world.states(first) == ["queued", "cancelled"]
    assert len(world.claim()) == 1


def test_a_deadline_reaches_paused_and_half_submitted_batches(world: World, store: Store, clock: Clock) -> None:
    paused = world.submit("a.jpg", deadline=clock.now + 10)
    store.set_batch_state(paused, PAUSED)
    submitting = world.open(deadline=clock.now + 10)
    world.add(submitting, spec("b.jpg"))
    clock.pass_(10)
    assert store.settle() == [paused, submitting]
    assert world.states() == ["cancelled", "cancelled"]


def test_a_running_job_past_its_deadline_is_to_be_stopped(world: World, store: Store, clock: Clock) -> None:
    world.submit("a.jpg", deadline=clock.now + 10)
    (claim,) = world.claim()
    clock.pass_(10)
    assert store.unwanted(world.worker) == [claim.id]
    assert world.fail(claim, "deadline_passed") == "cancelled"
    assert world.job(claim.id).error_code == "deadline_passed"
    store.settle()


# --- lanes -------------------------------------------------------------------------------------


def test_a_job_follows_the_lanes_of_its_live_batches(world: World, store: Store) -> None:
    low = world.submit("a.jpg", lane=Lane.LOW)
    high = world.submit("a.jpg", lane=Lane.HIGH)
    (job,) = world.ids(low)
    store.set_batch_state(high, PAUSED)
    assert world.job(job).lane == 0
    store.set_batch_state(high, IN_PROGRESS)
    assert world.job(job).lane == 2
    store.set_batch_state(high, CANCELLED)
    assert world.job(job).lane == 0


# --- requeue -----------------------------------------------------------------------------------


def test_requeue_takes_what_ended_and_nothing_else(world: World, store: Store, clock: Clock) -> None:
    batch = world.submit("done.jpg", "failed.jpg", "runs.jpg", "waits.jpg")
    done, failed, runs, waits = world.ids(batch)
    world.finish(answer(world.claim([done])[0]))
    world.fail(world.claim([failed])[0], "image_missing")
    world.claim([runs])
    clock.pass_(7)
    assert store.requeue([done, failed, runs, waits, 999], fresh=True) == 2
    assert world.states() == ["queued", "queued", "running", "queued"]
    job = world.job(failed)
    assert (job.attempts, job.crashes, job.error_code, job.fresh, job.queued) == (0, 0, None, True, clock.now)
    assert store.requeue([runs], fresh=False) == 0


def test_requeue_brings_a_completed_batch_back(world: World, store: Store) -> None:
    world.do("a.jpg", "b.jpg")
    (batch,) = store.settle()
    store.requeue(world.ids()[:1], fresh=False)
    assert (world.batch(batch).state, world.batch(batch).finished) == ("in_progress", None)
    (claim,) = world.claim()
    assert claim.fresh is False
    world.finish(answer(claim))
    assert store.settle() == [batch]


def test_requeue_brings_back_the_newest_of_only_cancelled_batches(world: World, store: Store, clock: Clock) -> None:
    first = world.submit("a.jpg", deadline=clock.now + 10)
    second = world.submit("a.jpg", deadline=clock.now + 20)
    clock.pass_(20)
    assert store.settle() == [first, second]
    assert store.requeue(world.ids(), fresh=False) == 1
    assert [world.batch(id).state for id in (first, second)] == ["expired", "in_progress"]
    assert world.batch(second).deadline is None
    assert len(world.claim()) == 1


def test_requeue_leaves_batches_alone_while_a_live_one_wants_the_job(world: World, store: Store) -> None:
    cancelled = world.submit("a.jpg")
    live = world.submit("a.jpg", "b.jpg")
    world.fail(world.claim(world.ids()[:1])[0], "image_missing")
    store.set_batch_state(cancelled, CANCELLED)
    assert store.requeue(world.ids()[:1], fresh=False) == 1
    assert [world.batch(id).state for id in (cancelled, live)] == ["cancelled", "in_progress"]


def test_requeue_for_a_batch_brings_that_one_back_and_no_other(world: World, store: Store, clock: Clock) -> None:
    first = world.submit("a.jpg", deadline=clock.now + 10)
    second = world.submit("a.jpg")
    third = world.submit("a.jpg")
    for batch in (second, third):
        store.set_batch_state(batch, CANCELLED)
    clock.pass_(10)
    store.settle()
    assert store.requeue(world.ids(first), fresh=False, batch=first) == 1
    states = [world.batch(id).state for id in (first, second, third)]
    assert states == ["in_progress", "cancelled", "cancelled"]
    assert (world.batch(first).deadline, world.batch(first).finished) == (None, None)
    assert len(world.claim()) == 1


def test_requeue_for_a_batch_keeps_a_deadline_that_is_to_come(world: World, store: Store, clock: Clock) -> None:
    world.do("a.jpg", deadline=clock.now + 10)
    (batch,) = store.settle()
    store.requeue(world.ids(), fresh=False, batch=batch)
    assert (world.batch(batch).state, world.batch(batch).deadline) == ("in_progress", clock.now + 10)


def test_requeue_for_a_paused_batch_leaves_it_paused(world: World, store: Store) -> None:
    batch = world.submit("a.jpg", "b.jpg")
    world.finish(*map(answer, world.claim(world.ids()[:1])))
    store.set_batch_state(batch, PAUSED)
    assert store.requeue(world.ids(), fresh=False, batch=batch) == 1
    assert world.batch(batch).state == "paused"


def test_what_has_ended_of_a_batch(world: World, store: Store) -> None:
    batch = world.submit("done.jpg", "missing.jpg", "waits.jpg", "done.jpg")
    done, missing, *_ = world.ids(batch)
    world.finish(answer(world.claim([done])[0]))
    world.fail(world.claim([missing])[0], "image_missing")
    name = world.batch(batch).name
    assert list(store.views.ended(name)) == [(done, "done"), (missing, "failed"), (done, "done")]
    assert list(store.views.ended(name, where=["error_code=image_missing"])) == [(missing, "failed")]
