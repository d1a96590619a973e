"""Schedules in both databases, as any number of programs look after them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipeline import database
from pipeline.errors import PixmillError, ScheduleTaken, ScheduleUnknown
from pipeline.jobs import BatchState
from pipeline.schedules import firing
from pipeline.schedules.order import Order
from pipeline.schedules.rule import Missed, Overlap, Rule
from pipeline.schedules.tending import Tender, look_again
from pipeline.settings import read_settings
from pipeline.store import Store
from pipeline.store.schedules import SILENT_S, UNSEEN_S, Begun, Outcome, Schedules
from pipeline.windows import Window
from tests.integration.test_store_at_once import at_once
from tests.store_world import Clock, World, answer

SPEC = {"command": "submit", "given": {"paths": []}}
HOURLY = Rule(every_s=3600.0)


def add(schedules: Schedules, name: str = "night", rule: Rule = HOURLY, **changes: Any) -> None:
    schedules.add(name, rule, SPEC)


def outcomes(schedules: Schedules, name: str = "night") -> list[Outcome]:
    return [row.outcome for row in reversed(schedules.history(name))]


def take_all(schedules: Schedules) -> list[int]:
    schedules.fire()
    return [firing.id for firing in schedules.waiting() if schedules.take(firing.id)]


def to_next_hour(clock: Clock, hours: int = 1) -> None:
    clock.now = (clock.now // 3600 + hours) * 3600


@pytest.fixture
def schedules(store: Store, clock: Clock) -> Schedules:
    clock.now = 1_000 * 3600.0 + 60
    return store.schedules


def test_a_schedule_fires_when_its_time_has_come(schedules: Schedules, clock: Clock) -> None:
    add(schedules)
    assert take_all(schedules) == []
    to_next_hour(clock)
    (id,) = take_all(schedules)
    assert take_all(schedules) == []
    assert schedules.begun(id) == Begun(id=id, schedule="night", due=clock.now, spec=SPEC)
    assert schedules.end(id, Outcome.DONE, "said", None) is Outcome.DONE
    (row,) = schedules.rows()
    assert row.last is not None
    assert (row.last.outcome, row.last.detail, row.last.fired) == (Outcome.DONE, "said", clock.now)
    assert row.next == tuple(clock.now + more * 3600 for more in (1, 2, 3))


def test_of_many_programs_one_fires_and_one_begins(database_url: str, schedules: Schedules, clock: Clock) -> None:
    add(schedules)
    stores = [Store(database.connect(database_url), clock=clock) for _ in range(5)]
    begun: list[int] = []
    programs = [lambda store=store: begun.extend(take_all(store.schedules)) for store in stores]
    for _ in range(4):
        to_next_hour(clock)
        at_once(*programs)
        begun += take_all(schedules)  # where the one that fired looked before the others were through
        schedules.end(begun[-1], Outcome.DONE, "", None)
    assert len(begun) == len(set(begun)) == 4
    assert outcomes(schedules) == [Outcome.DONE] * 4
    for store in stores:
        store.close()


@pytest.mark.parametrize(
    ("missed", "expected"),
    [(Missed.ONCE, [Outcome.RUNNING]), (Missed.SKIP, [Outcome.MISSED])],
)
def test_what_was_missed_is_made_up_for_once_or_left_out(
    schedules: Schedules, clock: Clock, missed: Missed, expected: list[Outcome]
) -> None:
    add(schedules, rule=Rule(every_s=3600.0, missed=missed))
    clock.pass_(5.5 * 3600)
    take_all(schedules)
    assert outcomes(schedules) == expected
    take_all(schedules)
    assert outcomes(schedules) == expected
    assert schedules.rows()[0].next[0] > clock.now


def test_the_last_of_several_missed_times_is_not_late_yet(schedules: Schedules, clock: Clock) -> None:
    add(schedules, rule=Rule(every_s=3600.0, missed=Missed.SKIP))
    to_next_hour(clock, 5)
    clock.pass_(300)
    schedules.fire()
    take_all(schedules)
    assert outcomes(schedules) == [Outcome.MISSED, Outcome.RUNNING]


def submitted(world: World, schedules: Schedules, *pictures: str) -> int:
    """A firing whose batch waits for answers."""
    (id,) = take_all(schedules)
    world.submit(*pictures, name=f"of-{id}")
    schedules.end(id, Outcome.DONE, "", f"of-{id}")
    return id


def test_while_the_last_one_is_not_answered_a_time_is_left_out(
    world: World, schedules: Schedules, clock: Clock
) -> None:
    add(schedules)
    to_next_hour(clock)
    submitted(world, schedules, "a", "b")
    to_next_hour(clock)
    assert take_all(schedules) == []
    assert outcomes(schedules) == [Outcome.DONE, Outcome.SKIPPED]
    world.finish(*[answer(claim) for claim in world.claim()])
    world.store.settle()
    to_next_hour(clock)
    assert len(take_all(schedules)) == 1


def test_or_it_waits_until_the_last_one_is_answered(world: World, schedules: Schedules, clock: Clock) -> None:
    add(schedules, rule=Rule(every_s=3600.0, overlap=Overlap.QUEUE))
    to_next_hour(clock)
    submitted(world, schedules, "a")
    for _ in range(2):
        to_next_hour(clock)
        assert take_all(schedules) == []
    assert outcomes(schedules) == [Outcome.DONE, Outcome.WAITING, Outcome.SKIPPED], "one waits, not a queue of them"
    world.finish(*[answer(claim) for claim in world.claim()])
    world.store.settle()
    assert len(take_all(schedules)) == 1


def test_finding_none_where_there_were_some_is_a_failure(world: World, schedules: Schedules, clock: Clock) -> None:
    add(schedules)
    to_next_hour(clock)
    submitted(world, schedules, "a", "b")
    world.finish(*[answer(claim) for claim in world.claim()])
    world.store.settle()
    for _ in range(2):
        to_next_hour(clock)
        submitted(world, schedules)
        world.store.settle()
        last = schedules.history("night")[0]
        assert (last.outcome, last.found) == (Outcome.FAILED, 0)
        assert last.detail == "Found 0, where there were 2 the last time."


def test_none_found_the_first_time_is_no_failure(world: World, schedules: Schedules, clock: Clock) -> None:
    add(schedules)
    to_next_hour(clock)
    submitted(world, schedules)
    assert outcomes(schedules) == [Outcome.DONE]


def test_a_process_that_ended_in_the_middle_is_replaced_a_few_times(schedules: Schedules, clock: Clock) -> None:
    add(schedules)
    to_next_hour(clock)
    first = take_all(schedules)
    clock.pass_(SILENT_S - 1)
    schedules.alive(first[0])
    clock.pass_(SILENT_S - 1)
    assert take_all(schedules) == []
    for _ in range(2):
        clock.pass_(SILENT_S + 1)
        assert take_all(schedules) == first
    clock.pass_(SILENT_S + 1)
    assert take_all(schedules) == []
    last = schedules.history("night")[0]
    assert (last.outcome, "several times" in (last.detail or "")) == (Outcome.FAILED, True)


def test_what_nobody_sees_fails_once_others_had_their_time(schedules: Schedules, clock: Clock) -> None:
    add(schedules)
    to_next_hour(clock)
    schedules.fire()
    (waiting,) = schedules.waiting()
    assert not schedules.unseen(waiting.id, "/in is not there")
    clock.pass_(UNSEEN_S + 1)
    assert schedules.unseen(waiting.id, "/in is not there")
    assert (outcomes(schedules), schedules.waiting()) == ([Outcome.FAILED], [])


def test_pause_resume_run_now_and_remove(schedules: Schedules, clock: Clock) -> None:
    add(schedules)
    with pytest.raises(ScheduleTaken):
        add(schedules)
    assert (schedules.pause("night"), schedules.pause("night")) == (True, False)
    to_next_hour(clock, 3)
    assert take_all(schedules) == []
    assert schedules.rows()[0].next == ()
    schedules.run_now("night")
    assert len(take_all(schedules)) == 1
    assert (schedules.resume("night"), schedules.resume("night")) == (True, False)
    assert schedules.rows()[0].next[0] > clock.now
    schedules.remove("night")
    assert (schedules.rows(), schedules.fire()) == ([], [])
    with pytest.raises(ScheduleUnknown):
        schedules.history("night")


class Refusing(Order):
    def perform(self, settings: object, occasion: object) -> None:
        raise PixmillError(detail="the disk is full")


def test_what_a_command_complains_about_is_kept(schedules: Schedules, clock: Clock) -> None:
    add(schedules)
    to_next_hour(clock)
    (id,) = take_all(schedules)
    begun = schedules.begun(id)
    assert begun
    assert firing.perform(schedules, begun, Refusing("submit", {}), read_settings()) is Outcome.FAILED
    assert schedules.history("night")[0].detail == "Something went wrong: the disk is full"


# --- tending -------------------------------------------------------------------------------------


def test_a_program_leaves_what_it_does_not_see_to_others(store: Store, schedules: Schedules, clock: Clock) -> None:
    schedules.add("night", HOURLY, {"command": "submit", "given": {"paths": ["file:///nowhere/at/all"]}})
    tender = Tender(read_settings(), store)
    to_next_hour(clock)
    assert tender.look() == 0
    assert outcomes(schedules) == [Outcome.WAITING]
    clock.pass_(UNSEEN_S + 1)
    assert tender.look() == 0
    last = schedules.history("night")[0]
    assert (last.outcome, last.detail) == (Outcome.FAILED, "/nowhere/at/all is not there on any machine that looked.")


def test_what_hinders_a_look_is_said_once_and_the_next_look_comes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pipeline.schedules.tending.LOOK_EVERY_S", 0.001)
    stopped, looks = threading.Event(), 0

    def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 5:
            stopped.set()
        raise PixmillError(detail="the database is away")

    look_again(look, stopped)
    assert looks == 5
    assert caplog.text.count("the database is away") == 1


# --- windows -------------------------------------------------------------------------------------


@pytest.fixture
def night(world: World, clock: Clock) -> Iterator[Callable[[str], None]]:
    """Moves the clock to a time of the day, in UTC; the batch works from 22:00 to 06:00."""
    clock.now = 86_400.0 * 10_000 + 12 * 3600
    world.submit("a", "b", "c", name="n", window="22:00-06:00 UTC")

    def to(time: str) -> None:
        hours, minutes = map(int, time.split(":"))
        wanted = hours * 3600 + minutes * 60
        clock.now += (wanted - clock.now % 86_400) % 86_400

    yield to


def test_a_batch_with_a_window_is_worked_on_at_its_hours_alone(world: World, night: Callable[[str], None]) -> None:
    assert world.tickets() == world.claim() == []
    night("21:59")
    assert world.tickets() == world.claim() == []
    night("22:00")
    assert world.tickets() == [[1, 2, 3]]
    world.finish(answer(world.claim([1])[0]))
    night("05:59")
    (held,) = world.claim([2])
    night("06:00")
    assert world.tickets() == world.claim() == []
    assert world.finish(answer(held)), "what is in an engine is finished"
    night("21:59")
    assert world.tickets(again=True) == []
    night("22:00")
    assert world.tickets() == [[3]], "the ticket of the night before claimed nothing: there is a new one"
    world.finish(answer(world.claim([3])[0]))
    assert world.store.settle()
    assert world.store.views.batch("n").state == BatchState.COMPLETED


def test_a_job_that_another_batch_wants_does_not_wait_for_the_window(
    world: World, night: Callable[[str], None]
) -> None:
    world.submit("b", name="now")
    assert [claim.id for claim in world.claim()] == [2]


def test_windows_that_passed_while_nobody_looked_do_not_matter(
    world: World, night: Callable[[str], None], clock: Clock
) -> None:
    clock.pass_(10 * 86_400)
    night("23:00")
    world.tickets()
    assert len(world.claim()) == 3
    assert Window.parse("22:00-06:00 UTC").around(clock.now)[0] <= clock.now
