"""What goes on right now, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from pipeline.jobs import BatchState, Lane
from pipeline.store import InvalidRow, Store
from pipeline.store import activity as module
from pipeline.store.rows import ActiveBatch
from tests.store_world import Clock, World, answer


def batches(store: Store) -> dict[str, ActiveBatch]:
    return {row.name: row for row in store.views.activity().batches}


def queues(store: Store) -> list[tuple[str, str, int, bool]]:
    return [(row.model, row.lane, row.queued, row.at_least) for row in store.views.activity().queues]


def test_nothing_goes_on(world: World, store: Store, clock: Clock) -> None:
    found = store.views.activity()
    assert (found.at, found.batches, found.queues) == (clock.now, (), ())
    assert [row.id for row in found.workers] == [world.worker]


def test_a_batch_says_how_far_it_is(world: World, store: Store, clock: Clock) -> None:
    batch = world.submit("a.jpg", "b.jpg", "c.jpg", "d.jpg", "a.jpg", name="one", deadline=clock.now + 99)
    store.add_invalid(batch, [InvalidRow(row=9, code="row_invalid", message="no")])
    world.submit("other.jpg", name="two", lane=Lane.LOW)
    a, b, _, _ = world.claim(world.ids(batch))
    clock.pass_(20)
    world.finish(answer(a))
    world.fail(b, "image_missing")
    row = batches(store)["one"]
    assert (row.state, row.lane, row.deadline) == ("in_progress", "normal", clock.now + 79)
    assert (row.total, row.done, row.failed, row.open) == (6, 2, 2, 2)
    assert row.rate == pytest.approx(2 / 20)
    assert row.left_s == pytest.approx(20)
    assert (batches(store)["two"].rate, batches(store)["two"].left_s) == (None, None)
    counts = store.views.progress(batch)
    assert (row.total, row.done, row.failed, row.open) == (counts.total, counts.done, counts.failed, counts.unfinished)


def test_a_rate_is_that_of_the_last_minute(world: World, store: Store, clock: Clock) -> None:
    batch = world.submit(*(f"{number}.jpg" for number in range(10)), name="one")
    claims = world.claim()
    world.finish(*map(answer, claims[:5]))
    clock.pass_(61)
    assert batches(store)["one"].rate is None
    world.finish(*map(answer, claims[5:8]))
    assert batches(store)["one"].rate == pytest.approx(3 / 60)
    assert store.views.progress(batch).done == 8


def test_a_rate_beyond_the_sample_is_that_of_the_sample(
    world: World, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.submit(*(f"{number}.jpg" for number in range(module.SAMPLE + 20)), name="one")
    clock.pass_(30)
    claims = world.claim()
    world.finish(*map(answer, claims[:10]))
    clock.pass_(20)
    world.finish(*map(answer, claims[10 : module.SAMPLE + 10]))
    clock.pass_(5)
    assert batches(store)["one"].rate == pytest.approx(module.SAMPLE / 5)


def test_what_has_ended_is_shown_a_little_longer(world: World, store: Store, clock: Clock) -> None:
    world.do("a.jpg", name="done")
    cancelled = world.submit("b.jpg", name="cancelled")
    store.set_batch_state(cancelled, BatchState.CANCELLED)
    store.settle()
    row = batches(store)["done"]
    assert (row.state, row.done, row.open, row.left_s) == ("completed", 1, 0, None)
    clock.pass_(61)
    assert batches(store) == {}


def test_queues_by_model_and_lane(world: World, store: Store, clock: Clock) -> None:
    low = world.submit("a.jpg", "shared.jpg", lane=Lane.LOW)
    high = world.submit("shared.jpg", "c.jpg", "d.jpg", lane=Lane.HIGH)
    world.claim(world.ids(high)[-1:])
    assert queues(store) == [("m", "high", 2, False), ("m", "low", 1, False)]
    paused = world.submit("e.jpg")
    store.set_batch_state(paused, BatchState.PAUSED)
    assert ("m", "normal", 1, False) in queues(store)
    store.set_batch_state(low, BatchState.CANCELLED)
    assert queues(store)[0] == ("m", "high", 2, False)


def test_a_deep_queue_is_not_counted_to_its_end(world: World, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    world.submit("a.jpg", "b.jpg")
    assert queues(store) == [("m", "normal", 2, False)]
    monkeypatch.setattr(module, "DEEPEST", 1)
    assert queues(store) == [("m", "normal", 2, True)]


def test_no_count_passes_over_what_was_done(sqlite_store: Store) -> None:
    """As SQLite plans it while it knows nothing of the tables: jobs and items are found, never gone through."""
    world = World(sqlite_store, Clock())
    world.do("a.jpg")
    world.submit("b.jpg")
    plans: list[str] = []

    @sa.event.listens_for(sqlite_store._engine, "before_cursor_execute")
    def explain(connection: sa.Connection, cursor: Any, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith("SELECT"):
            plans.extend(row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

    sqlite_store.views.activity()
    assert "SCAN jobs USING INDEX ix_jobs_failed" in plans
    through = [plan for plan in plans if plan.startswith(("SCAN jobs", "SCAN batch_items"))]
    assert through == ["SCAN jobs USING INDEX ix_jobs_failed"]
