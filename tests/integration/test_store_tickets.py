from __future__ import annotations

import sqlite3
from typing import Any

import pytest
import sqlalchemy as sa

from pipeline.jobs import BatchState, Lane
from pipeline.store import Store
from pipeline.store.tickets import LOST_AFTER_S
from tests.store_world import Clock, World, answer, held, spec


def names(count: int, prefix: str = "p") -> list[str]:
    return [f"{prefix}{number:04}.jpg" for number in range(count)]


def test_tickets_hold_the_jobs_of_a_model_in_order(world: World, store: Store) -> None:
    batch = world.submit(*names(5))
    world.add(batch, spec("a.jpg", model="other"), first=5)
    ids = world.ids(batch)
    assert world.tickets("m", size=2, count=2) == [ids[:2], ids[2:4]]
    assert world.tickets("other") == [ids[5:]]


def test_a_job_gets_one_ticket(world: World, store: Store, clock: Clock) -> None:
    world.submit(*names(3))
    (ticket,) = world.tickets("m")
    assert {world.job(id).ticketed_at for id in ticket} == {clock.now}
    assert world.tickets("m") == []
    assert world.tickets("m", again=True) == [ticket]


def test_again_hands_out_only_what_still_waits(world: World, store: Store) -> None:
    world.submit(*names(3))
    (ticket,) = world.tickets("m")
    world.claim(ticket[:1])
    world.submit("new.jpg")
    assert sorted(id for ids in world.tickets("m", again=True) for id in ids) == [*ticket[1:], ticket[-1] + 1]


def test_what_is_given_back_gets_a_ticket_again(world: World, store: Store, clock: Clock) -> None:
    world.submit(*names(2))
    (ticket,) = world.tickets("m")
    back, failed = world.claim(ticket)
    store.give_back(held(back))
    assert world.fail(failed, "fetch_failed") == "queued"
    assert world.tickets("m") == [[back.id]]
    clock.pass_(60)
    assert world.tickets("m") == [[failed.id]]


def test_high_lanes_first_and_no_ticket_of_two_lanes(world: World, store: Store) -> None:
    low = world.submit("l.jpg", lane=Lane.LOW)
    normal = world.submit("n.jpg")
    high = world.submit("h.jpg", lane=Lane.HIGH)
    assert world.tickets("m", count=3) == [world.ids(high), world.ids(normal), world.ids(low)]


def test_a_job_of_two_batches_goes_with_the_higher_lane_and_once(world: World, store: Store) -> None:
    low = world.submit("own.jpg", "shared.jpg", lane=Lane.LOW)
    high = world.submit("shared.jpg", lane=Lane.HIGH)
    assert world.tickets("m", count=9) == [world.ids(high), world.ids(low)[:1]]


def test_a_paused_high_batch_does_not_lift_its_jobs(world: World, store: Store) -> None:
    high = world.submit("shared.jpg", lane=Lane.HIGH)
    normal = world.submit("first.jpg", "shared.jpg")
    store.set_batch_state(high, BatchState.PAUSED)
    assert world.tickets("m", count=9) == [world.ids(normal)]


def test_batches_take_turns_within_a_call(world: World, store: Store) -> None:
    large = world.submit(*names(6, "large"))
    small = world.submit(*names(3, "small"))
    big, little = world.ids(large), world.ids(small)
    assert world.tickets("m", size=2, count=3) == [big[:2], little[:2], big[2:4]]


def test_batches_take_turns_between_calls(world: World, store: Store, clock: Clock) -> None:
    batches = [world.submit(*names(4, prefix)) for prefix in "abc"]
    whose = {id: prefix for batch, prefix in zip(batches, "abc", strict=True) for id in world.ids(batch)}
    turns = ""
    for _ in range(6):
        clock.pass_(1)
        (ticket,) = world.tickets("m", size=2)
        turns += whose[ticket[0]]
    assert turns == "abcabc"


def test_small_leftovers_share_a_ticket(world: World, store: Store) -> None:
    for prefix in "abcde":
        world.submit(*names(1, prefix))
    assert [len(ids) for ids in world.tickets("m", size=4, count=9)] == [4, 1]


def test_one_batch_alone(world: World, store: Store) -> None:
    first = world.submit("shared.jpg", "own.jpg")
    second = world.submit("other.jpg", "shared.jpg")
    assert world.tickets("m", batch=second) == [world.ids(second)]
    assert world.tickets("m", batch=second) == []
    assert world.tickets("m") == [world.ids(first)[1:]]


def test_questions_about_one_picture_stay_together(world: World, store: Store) -> None:
    batch = world.open()
    asked = [("a", 1), ("b", 1), ("a", 2), ("c", 1), ("b", 2), ("a", 3), ("c", 2)]
    world.add(batch, *(spec(picture, f"{question}?") for picture, question in asked))
    about = dict(zip(world.ids(batch), (picture for picture, _ in asked), strict=True))
    tickets = world.tickets("m", size=4, count=9)
    assert ["".join(about[id] for id in ids) for ids in tickets] == ["aaa", "bbcc"]


def test_more_questions_about_a_picture_than_a_ticket_holds(world: World, store: Store) -> None:
    batch = world.open()
    world.add(batch, *(spec("a.jpg", f"{number}?") for number in range(5)))
    ids = world.ids(batch)
    assert world.tickets("m", size=2, count=9) == [ids[:2], ids[2:4], ids[4:]]


def test_two_rows_with_one_job_are_one_id(world: World, store: Store) -> None:
    batch = world.open()
    world.add(batch, spec("a.jpg"), spec("a.jpg"))
    assert world.tickets("m") == [world.ids(batch)[:1]]


def test_back_off_is_waited_for(world: World, store: Store, clock: Clock) -> None:
    world.submit("a.jpg")
    (claim,) = world.claim()
    world.fail(claim, "fetch_failed")
    due = world.job(claim.id).run_after
    clock.now = due - 0.001
    assert world.tickets("m") == []
    clock.now = due
    assert world.tickets("m") == [[claim.id]]


def test_no_work_no_tickets(world: World, store: Store) -> None:
    assert world.tickets("m", count=5) == []
    world.do("a.jpg")
    assert world.tickets("m", again=True) == []


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_what_has_ended_is_not_passed_over(world: World, store: Store) -> None:
    """A batch with a million done items and one open one is as quick as a batch of one."""
    world.submit("a.jpg")
    plans = Plans(store)
    world.tickets("m")
    world.tickets("m", again=True)
    store.settle()
    looked_at = [line for line in plans.lines if "batch_items" in line]
    assert len(looked_at) == 3
    assert all("USING COVERING INDEX ix_batch_items_open" in line for line in looked_at), looked_at


class Plans:
    """How SQLite goes about each statement that the store executes."""

    def __init__(self, store: Store) -> None:
        self.lines: list[str] = []
        with store.reading() as connection:
            sa.event.listen(connection.engine, "before_cursor_execute", self._explain)

    def _explain(self, _: object, cursor: sqlite3.Cursor, statement: str, values: tuple[Any, ...], *__: object) -> None:
        if statement.startswith(("SELECT", "UPDATE")):
            plan = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)
            self.lines += [detail for _, _, _, detail in plan]


def test_a_done_batch_beside_a_waiting_one(world: World, store: Store) -> None:
    claims = world.do(*names(3))
    again = world.submit(*names(4))
    assert world.tickets("m") == [world.ids(again)[3:]]
    assert all(world.job(claim.id).ticketed_at is None for claim in claims)
    world.finish(*map(answer, world.claim()))


def test_a_ticket_that_is_not_claimed_for_long_counts_as_lost(world: World, store: Store, clock: Clock) -> None:
    lost = world.submit(*names(2, "lost"))
    world.tickets("m")
    world.submit("later.jpg")
    clock.pass_(LOST_AFTER_S - 1)
    assert len(world.tickets("m")) == 1  # the later one
    clock.pass_(1)
    assert world.tickets("m") == [world.ids(lost)]
    assert world.tickets("m") == []


def test_each_lane_has_room_of_its_own(world: World, store: Store) -> None:
    world.submit(*names(40))
    high = world.submit("h.jpg", lane=Lane.HIGH)
    dealt = store.tickets("m", size=4, count={Lane.HIGH: 3, Lane.NORMAL: 0, Lane.LOW: 3})
    assert [(list(ticket.ids), ticket.lane) for ticket in dealt] == [(world.ids(high), Lane.HIGH)]
