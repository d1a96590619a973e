"""Cancelling, pausing, deadlines and draining, as they reach a worker with real children and a fake engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from pathlib import Path

import pytest

from pipeline.jobs import BatchState
from pipeline.locators import Picture
from pipeline.prompts import Prompt, Sampling
from pipeline.queue import TICKET
from pipeline.store import Store
from pipeline.store.values import Added, Counts
from pipeline.submit import ask_each, submit
from tests.house import House, draw, draw_many
from workers.worker import Worker

ENDLESS = 1_000_000
"""tokens: weeks at 20 ms each. Shorter answers take two seconds and more: an engine says once a second what runs,
and a feeder looks once a second for what nobody wants"""


@pytest.fixture
def house(sqlite_store: Store) -> House:
    return House(sqlite_store, {"step_s": 0.02, "tokens": (ENDLESS, ENDLESS)})


def submitted(house: House, paths: Sequence[Path], tokens: int, deadline: float | None = None) -> int:
    """A sealed batch of one question about each picture, whose answers are so long."""
    house.model()
    batch = house.store.open_batch(None, origin="test", spec={}, deadline=deadline)
    asked = [Prompt.ask("What?", sampling=Sampling(max_tokens=tokens))]
    pictures = [Picture.at(path, None) for path in paths]
    sum(submit(house.store, batch.id, ask_each(pictures, asked, house.alias)), Added())
    return batch.id


def take_up(house: House, worker: Worker, batch: int) -> list[Future[None]]:
    tickets = house.store.tickets(house.alias, size=TICKET, count=16, batch=batch)
    return [worker.feeder.take(ticket.ids) for ticket in tickets]


def until(true: Callable[[], bool]) -> None:
    while not true():  # the test's own time limit ends this
        time.sleep(0.01)


def test_cancelling_frees_the_engine_for_others(house: House, tmp_path: Path) -> None:
    paths = draw_many(tmp_path / "in", 12)
    endless = submitted(house, paths[:8], ENDLESS)
    short = submitted(house, paths[8:], 2)
    with house.worker() as worker:
        first = take_up(house, worker, endless)
        until(lambda: worker.engine.figures.running == 4)
        second = take_up(house, worker, short)
        house.store.set_batch_state(endless, BatchState.CANCELLED)
        wait([*first, *second])
        assert worker.feeder.tally == {"cancelled": 8, "done": 4, "cached": 0}
    assert house.store.views.progress(endless) == Counts(total=8, cancelled=8)
    assert house.store.views.progress(short) == Counts(total=4, done=4)
    codes = {house.store.views.job(id).error_code for id, _ in house.store.views.ended(name_of(house, endless))}
    assert codes == {"cancelled"}


def name_of(house: House, batch: int) -> str:
    return next(row.name for row in house.store.views.batches() if row.id == batch)


def test_cancelling_spares_what_another_batch_wants(house: House, tmp_path: Path) -> None:
    house.script = {"step_s": 0.02, "tokens": (200, 200)}
    paths = draw_many(tmp_path / "in", 2)
    first, second = submitted(house, paths, 200), submitted(house, paths[1:], 200)
    with house.worker() as worker:
        taken = take_up(house, worker, first)
        until(lambda: worker.engine.figures.running == 2)
        house.store.set_batch_state(first, BatchState.CANCELLED)
        wait(taken)
    assert house.store.views.progress(first) == Counts(total=2, done=1, cancelled=1)
    assert house.store.views.progress(second) == Counts(total=1, done=1)


def test_a_twin_of_what_is_cancelled_is_asked_itself(house: House, tmp_path: Path) -> None:
    """Equal pictures are asked once, and the others wait for that answer, which now never comes."""
    house.script = {"step_s": 0.02, "tokens": (200, 200)}
    first = submitted(house, [draw(tmp_path / "a.bmp", 1)], 200)
    second = submitted(house, [draw(tmp_path / "b.bmp", 1)], 200)
    with house.worker() as worker:
        taken = take_up(house, worker, first)
        until(lambda: worker.engine.figures.running == 1)
        taken += take_up(house, worker, second)
        until(lambda: worker.feeder.holding == 2)
        house.store.set_batch_state(first, BatchState.CANCELLED)
        wait(taken)
        assert worker.feeder.tally == {"cancelled": 1, "done": 1, "cached": 0}
    assert house.store.views.progress(second).done == 1


def test_a_deadline_ends_what_runs_and_its_batch(house: House, tmp_path: Path) -> None:
    batch = submitted(house, draw_many(tmp_path / "in", 30), ENDLESS, deadline=time.time() + 2)
    with house.worker() as worker:
        wait(take_up(house, worker, batch))
        assert worker.feeder.tally["cancelled"] > 0
    assert house.store.views.batch_state(batch) is BatchState.EXPIRED
    assert house.store.views.progress(batch) == Counts(total=30, cancelled=30)
    jobs = [house.store.views.job(id) for id, _ in house.store.views.ended(name_of(house, batch))]
    assert {job.error_code for job in jobs} == {"deadline_passed"}


def test_pausing_finishes_what_is_held_and_begins_nothing(house: House, tmp_path: Path) -> None:
    house.script = {"step_s": 0.02, "tokens": (75, 75)}
    batch = submitted(house, draw_many(tmp_path / "in", 2 * TICKET), 200)
    with house.worker() as worker:
        assert worker.places.held <= TICKET  # so that one ticket, which is taken as a whole, is enough for now
        taken = take_up(house, worker, batch)
        until(lambda: worker.engine.figures.running == 4)
        moved = house.store.set_batch_state(batch, BatchState.PAUSED)
        wait(taken)
        assert moved is not None and moved.running == worker.feeder.tally["done"] == TICKET
        assert house.store.views.progress(batch) == Counts(total=2 * TICKET, queued=TICKET, done=TICKET)
        house.store.set_batch_state(batch, BatchState.IN_PROGRESS)
        wait(take_up(house, worker, batch))
        until(lambda: house.store.views.batch_state(batch) is BatchState.COMPLETED)
    assert house.store.views.progress(batch).done == 2 * TICKET


def test_a_worker_that_is_drained_ends_in_order(house: House, tmp_path: Path) -> None:
    house.script = {"step_s": 0.02, "tokens": (20, 20)}
    store, asked = house.store, []

    def drain_once(counts: Counts) -> None:
        if counts.done and not asked:
            (row,) = store.views.workers()
            asked.append(store.drain(row.id))

    outcome = house.run(draw_many(tmp_path / "in", 400), tell=drain_once, max_tokens=200)
    assert asked == [True]
    assert 0 < outcome.counts.done < 400
    assert outcome.counts == Counts(total=outcome.counts.total, done=outcome.counts.done, queued=outcome.counts.queued)
    assert store.views.workers() == ()


def test_a_worker_says_how_it_does(house: House, tmp_path: Path) -> None:
    house.script = {"step_s": 0.02, "tokens": (20, 20)}
    batch = submitted(house, draw_many(tmp_path / "in", 200), 200)
    with house.worker() as worker:
        take_up(house, worker, batch)
        until(lambda: any((row.status or {}).get("rate") for row in house.store.views.workers()))
        (row,) = house.store.views.workers()
    assert row.status is not None
    assert (row.state, row.status["places"]) == ("working", 4)
    assert row.status["done"] > 0
