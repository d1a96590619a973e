"""Schedules in both databases, as any number of programs look after them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipeline import database, tables
from pipeline.errors import PixmillError, ScheduleTaken, ScheduleUnknown
from pipeline.jobs import BatchState
from pipeline.repeating import repeat
from pipeline.schedules import firing
from pipeline.schedules.order import Order
from pipeline.schedules.rule import Missed, Overlap, Rule
from pipeline.schedules.sight import Sight
from pipeline.schedules.tending import UNSEEN_S, Tender
from pipeline.settings import read_settings
from pipeline.store import Store
from pipeline.store.firings import SILENT_S, Begun, Firings, Outcome
from pipeline.store.schedules import Schedules
from pipeline.windows import Window
from tests.integration.test_store_at_once import at_once
from tests.store_world import Clock, World, answer

SPEC = {"command": "submit", "given": {"paths": []}}
HOURLY = Rule(every_s=3600.0)


def add(schedules: Schedules, name: str = "night", rule: Rule = HOURLY, **changes: Any) -> None:
    schedules.add(name, rule, SPEC)


def outcomes(schedules: Schedules, name: str = "night") -> list[Outcome]:
    return [row.outcome for row in reversed(schedules.history(name))]


def take_all(firings: Firings) -> list[int]:
    firings.fire()
    return [one.id for one in firings.waiting() if firings.take(one.id)]


def to_next_hour(clock: Clock, hours: int = 1) -> None:
    clock.now = (clock.now // 3600 + hours) * 3600


@pytest.fixture
def schedules(store: Store, clock: Clock) -> Schedules:
    clock.now = 1_000 * 3600.0 + 60
    return store.schedules


@pytest.fixture
def firings(store: Store) -> Firings:
    return store.firings


def test_a_schedule_fires_when_its_time_has_come(schedules: Schedules, firings: Firings, clock: Clock) -> None:
    add(schedules)
    assert take_all(firings) == []
    to_next_hour(clock)
    (id,) = take_all(firings)
    assert take_all(firings) == []
    assert firings.begun(id) == Begun(id=id, schedule="night", due=clock.now, spec=SPEC)
    assert firings.end(id, Outcome.DONE, "said", None) == (Outcome.DONE, "said")
    (row,) = schedules.rows()
    assert row.last is not None
    assert (row.last.outcome, row.last.detail, row.last.fired) == (Outcome.DONE, "said", clock.now)
    assert row.next == tuple(clock.now + more * 3600 for more in (1, 2, 3))


def test_of_many_programs_one_fires_and_one_begins(
    database_url: str, schedules: Schedules, firings: Firings, clock: Clock
) -> None:
    add(schedules)
    stores = [Store(database.connect(database_url), clock=clock) for _ in range(5)]
    begun: list[int] = []
    programs = [lambda store=store: begun.extend(take_all(store.firings)) for store in stores]
    for _ in range(4):
        to_next_hour(clock)
        at_once(*programs)
        begun += take_all(firings)  # where the one that fired looked before the others were through
        firings.end(begun[-1], Outcome.DONE, "", None)
    assert len(begun) == len(set(begun)) == 4
    assert outcomes(schedules) == [Outcome.DONE] * 4
    for store in stores:
        store.close()


@pytest.mark.parametrize(
    ("missed", "expected"),
    [(Missed.ONCE, [Outcome.RUNNING]), (Missed.SKIP, [Outcome.MISSED])],
)
def test_what_was_missed_is_made_up_for_once_or_left_out(
    schedules: Schedules, firings: Firings, clock: Clock, missed: Missed, expected: list[Outcome]
) -> None:
    add(schedules, rule=Rule(every_s=3600.0, missed=missed))
    clock.pass_(5.5 * 3600)
    take_all(firings)
    assert outcomes(schedules) == expected
    take_all(firings)
    assert outcomes(schedules) == expected
    assert schedules.rows()[0].next[0] > clock.now


def test_the_last_of_several_missed_times_is_not_late_yet(schedules: Schedules, firings: Firings, clock: Clock) -> None:
    add(schedules, rule=Rule(every_s=3600.0, missed=Missed.SKIP))
    to_next_hour(clock, 5)
    clock.pass_(300)
    firings.fire()
    take_all(firings)
    assert outcomes(schedules) == [Outcome.MISSED, Outcome.RUNNING]


def submitted(world: World, firings: Firings, *pictures: str) -> int:
    """A firing whose batch waits for answers."""
    (id,) = take_all(firings)
    world.submit(*pictures, name=f"of-{id}")
    firings.end(id, Outcome.DONE, "", f"of-{id}")
    return id


def test_while_the_last_one_is_not_answered_a_time_is_left_out(
    world: World, schedules: Schedules, firings: Firings, clock: Clock
) -> None:
    add(schedules)
    to_next_hour(clock)
    submitted(world, firings, "a", "b")
    to_next_hour(clock)
    assert take_all(firings) == []
    assert outcomes(schedules) == [Outcome.DONE, Outcome.SKIPPED]
    world.finish(*[answer(claim) for claim in world.claim()])
    world.store.settle()
    to_next_hour(clock)
    assert len(take_all(firings)) == 1


def test_or_it_waits_until_the_last_one_is_answered(
    world: World, schedules: Schedules, firings: Firings, clock: Clock
) -> None:
    add(schedules, rule=Rule(every_s=3600.0, overlap=Overlap.QUEUE))
    to_next_hour(clock)
    submitted(world, firings, "a")
    for _ in range(2):
        to_next_hour(clock)
        assert take_all(firings) == []
    assert outcomes(schedules) == [Outcome.DONE, Outcome.WAITING, Outcome.SKIPPED], "one waits, not a queue of them"
    world.finish(*[answer(claim) for claim in world.claim()])
    world.store.settle()
    assert len(take_all(firings)) == 1


def test_finding_none_where_there_were_some_is_a_failure(
    world: World, schedules: Schedules, firings: Firings, clock: Clock
) -> None:
    add(schedules)
    to_next_hour(clock)
    submitted(world, firings, "a", "b")
    world.finish(*[answer(claim) for claim in world.claim()])
    world.store.settle()
    for _ in range(2):
        to_next_hour(clock)
        submitted(world, firings)
        world.store.settle()
        last = schedules.history("night")[0]
        assert (last.outcome, last.found) == (Outcome.FAILED, 0)
        assert last.detail == "Found 0, where there were 2 the last time."


def test_none_found_the_first_time_is_no_failure(
    world: World, schedules: Schedules, firings: Firings, clock: Clock
) -> None:
    add(schedules)
    to_next_hour(clock)
    submitted(world, firings)
    assert outcomes(schedules) == [Outcome.DONE]


def test_a_process_that_ended_in_the_middle_is_replaced_a_few_times(
    schedules: Schedules, firings: Firings, clock: Clock
) -> None:
    add(schedules)
    to_next_hour(clock)
    first = take_all(firings)
    clock.pass_(SILENT_S - 1)
    firings.alive(first[0])
    clock.pass_(SILENT_S - 1)
    assert take_all(firings) == []
    for _ in range(2):
        clock.pass_(SILENT_S + 1)
        assert take_all(firings) == first
    clock.pass_(SILENT_S + 1)
    assert take_all(firings) == []
    last = schedules.history("night")[0]
    assert (last.outcome, "several times" in (last.detail or "")) == (Outcome.FAILED, True)


def test_what_nobody_could_begin_is_given_up(schedules: Schedules, firings: Firings, clock: Clock) -> None:
    add(schedules)
    to_next_hour(clock)
    firings.fire()
    (waiting,) = firings.waiting()
    assert firings.give_up(waiting.id, "/in is not there")
    assert (outcomes(schedules), firings.waiting()) == ([Outcome.FAILED], [])
    assert not firings.give_up(waiting.id, "/in is not there"), "it waits no more"


def test_a_pause_leaves_out_what_only_waits(world: World, schedules: Schedules, firings: Firings, clock: Clock) -> None:
    add(schedules, rule=Rule(every_s=3600.0, overlap=Overlap.QUEUE))
    to_next_hour(clock)
    submitted(world, firings, "a")
    to_next_hour(clock)
    assert take_all(firings) == []
    schedules.pause("night")
    world.finish(*[answer(claim) for claim in world.claim()])
    world.store.settle()
    assert take_all(firings) == []
    assert outcomes(schedules) == [Outcome.DONE, Outcome.SKIPPED]


def test_pause_resume_run_now_and_remove(schedules: Schedules, firings: Firings, clock: Clock) -> None:
    add(schedules)
    with pytest.raises(ScheduleTaken):
        add(schedules)
    assert (schedules.pause("night"), schedules.pause("night")) == (True, False)
    to_next_hour(clock, 3)
    assert take_all(firings) == []
    assert schedules.rows()[0].next == ()
    assert schedules.run_now("night")
    assert len(take_all(firings)) == 1
    clock.pass_(1)
    assert not schedules.run_now("night"), "the last one is at work"
    assert (schedules.resume("night"), schedules.resume("night")) == (True, False)
    assert schedules.rows()[0].next[0] > clock.now
    schedules.remove("night")
    assert (schedules.rows(), firings.fire()) == ([], [])
    with pytest.raises(ScheduleUnknown):
        schedules.history("night")


class Refusing(Order):
    def perform(self, settings: object, occasion: object) -> None:
        raise PixmillError(detail="the disk is full")


def test_what_a_command_complains_about_is_kept(schedules: Schedules, firings: Firings, clock: Clock) -> None:
    add(schedules)
    to_next_hour(clock)
    (id,) = take_all(firings)
    begun = firings.begun(id)
    assert begun
    assert firing.perform(firings, begun, Refusing("submit", {}), read_settings()) is Outcome.FAILED
    assert schedules.history("night")[0].detail == "Something went wrong: the disk is full"


# --- tending -------------------------------------------------------------------------------------


NOWHERE = {"command": "submit", "given": {"paths": ["file:///nowhere/at/all"]}}


def test_a_program_leaves_what_it_does_not_see_to_others(store: Store, schedules: Schedules, clock: Clock) -> None:
    schedules.add("night", HOURLY, NOWHERE)
    tender = Tender(read_settings(), store, now=lambda: clock.now)
    to_next_hour(clock)
    assert tender.look() == 0
    clock.pass_(UNSEEN_S - 1)
    assert tender.look() == 0
    assert outcomes(schedules) == [Outcome.WAITING]
    clock.pass_(1)
    assert tender.look() == 0
    last = schedules.history("night")[0]
    assert (last.outcome, last.detail) == (Outcome.FAILED, "/nowhere/at/all is not there on any machine that looked.")


def test_what_waited_for_the_one_before_it_is_left_to_others_for_as_long(
    world: World, schedules: Schedules, firings: Firings, clock: Clock
) -> None:
    schedules.add("night", Rule(every_s=3600.0, overlap=Overlap.QUEUE), NOWHERE)
    tender = Tender(read_settings(), world.store, now=lambda: clock.now)
    to_next_hour(clock)
    submitted(world, firings, "a")
    to_next_hour(clock)
    tender.look()
    clock.pass_(5 * UNSEEN_S)
    tender.look()
    world.finish(*[answer(claim) for claim in world.claim()])
    world.store.settle()
    tender.look()
    assert outcomes(schedules) == [Outcome.DONE, Outcome.WAITING], "its turn has only just come"
    clock.pass_(UNSEEN_S)
    tender.look()
    assert outcomes(schedules) == [Outcome.DONE, Outcome.FAILED]


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The firings whose process would have been started."""
    ids: list[int] = []

    class Process:
        def __init__(self, command: list[str], **options: Any) -> None:
            ids.append(int(command[-1]))

        def poll(self) -> None:
            return None

    monkeypatch.setattr("pipeline.schedules.tending.subprocess.Popen", Process)
    return ids


@pytest.mark.parametrize(
    ("rule", "spec", "why"),
    [
        ({"zone": "Mars/Base", "cron": "* * * * *", "every_s": None}, SPEC, "no time zone 'Mars/Base'"),
        ({"sunrise": True}, SPEC, "in a way that this version of Pixmill does not know"),
        ({}, {"command": "dream", "given": {}}, "'dream' cannot be scheduled"),
        ({}, {"command": "submit", "given": {"paths": [], "twice": True}}, "does not know its 'twice'"),
        ({}, NOWHERE, "/nowhere/at/all is not there"),
    ],
)
def test_what_one_machine_cannot_read_or_see_holds_up_no_other_schedule(
    database_url: str,
    store: Store,
    schedules: Schedules,
    firings: Firings,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    begun: list[int],
    rule: dict[str, Any],
    spec: dict[str, Any],
    why: str,
) -> None:
    schedules.add("a", HOURLY, spec)
    add(schedules, "b")
    unread = tables.schedules.update().where(tables.schedules.c.name == "a")
    engine = database.connect(database_url)
    with engine.begin() as connection:
        connection.execute(unread.values(rule={**HOURLY.stored(), **rule}))
    engine.dispose()
    tender = Tender(read_settings(), store, now=lambda: clock.now)
    to_next_hour(clock)
    assert tender.look() == 1
    (last,) = schedules.history("b")
    assert ([last.id], last.outcome) == (begun, Outcome.RUNNING)
    firings.end(last.id, Outcome.DONE, "", None)
    clock.pass_(UNSEEN_S)
    assert tender.look() == 0
    assert caplog.text.count(why) == 1
    assert [row.name for row in schedules.rows()] == ["a", "b"], "it is listed all the same"


def test_a_share_that_hangs_holds_up_no_other_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    back, looks = threading.Event(), 0

    def hang(path: str) -> bool:
        nonlocal looks
        looks += 1
        return back.wait(30)

    sight = Sight(read_settings(), patience_s=0.01)
    order = Order.from_stored(NOWHERE)
    monkeypatch.setattr("os.path.exists", hang)
    assert [sight.lacks(1, order) for _ in range(3)] == ["its file system, which does not answer,"] * 3
    assert looks == 1
    back.set()
    sight = Sight(read_settings(), patience_s=30)
    assert sight.lacks(1, order) is None
    monkeypatch.setattr("os.path.exists", lambda path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sight.lacks(1, order)


@pytest.mark.parametrize("error", [PixmillError(detail="the database is away"), OSError("the database is away")])
def test_what_hinders_a_look_is_said_once_and_the_next_look_comes(
    caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    stopped, looks = threading.Event(), 0

    def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 5:
            stopped.set()
        raise error

    repeat(look, stopped, 0.001)
    assert looks == 5
    assert sum("the database is away" in record.message for record in caplog.records) == 1


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
