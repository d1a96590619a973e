from __future__ import annotations

import json
import time
from dataclasses import replace

import click
import pytest
from click.testing import CliRunner

from pipeline.commands.health import ailment
from pipeline.commands.health import health as command
from pipeline.jobs import BatchState, Lane
from pipeline.owner import Owner
from pipeline.store import Store
from pipeline.store.rows import HealthRow
from tests.store_world import OWNER, Clock, World, answer

WITHIN_S = 600.0
LONG_S = 700.0


def look(store: Store, *, lanes: tuple[Lane, ...] = tuple(Lane)) -> HealthRow:
    (row,) = store.views.health(OWNER, within_s=WITHIN_S, lanes=lanes)
    return row


def ails(store: Store, **options: tuple[Lane, ...]) -> str | None:
    return ailment(look(store, **options), WITHIN_S)


def pass_with_lease(world: World, clock: Clock, seconds: float) -> None:
    """Time passes, and the worker says that it lives."""
    clock.pass_(seconds)
    world.store.renew(world.worker, 60)


def test_a_worker_with_nothing_to_do_is_well_however_long(world: World, store: Store, clock: Clock) -> None:
    pass_with_lease(world, clock, 100 * LONG_S)
    row = look(store)
    assert (row.worker.id, row.held, row.quiet_s, row.work_waits) == (world.worker, 0, 100 * LONG_S, False)
    assert ails(store) is None


def test_a_lease_that_is_over_is_an_ailment(world: World, store: Store, clock: Clock) -> None:
    clock.pass_(60)
    assert "has not renewed its lease" in str(ails(store))


def test_a_worker_without_a_lease_is_none(world: World, store: Store) -> None:
    store.leave(world.worker)
    assert store.views.health(OWNER, within_s=WITHIN_S) == ()


def test_holding_jobs_is_well_while_some_are_claimed_or_answered(world: World, store: Store, clock: Clock) -> None:
    world.submit("a", "b", "c")
    first, second, third = world.ids()
    (claim,) = world.claim([first])
    world.claim([second])
    pass_with_lease(world, clock, WITHIN_S)
    assert (look(store).held, ails(store)) == (2, None)
    pass_with_lease(world, clock, 1)
    assert "answered nothing for 10 min 01 s, and holds 2 jobs" in str(ails(store))
    world.finish(answer(claim))
    assert (look(store).held, look(store).quiet_s, ails(store)) == (1, 0, None)
    pass_with_lease(world, clock, LONG_S)
    assert "and holds 1 job" in str(ails(store))
    world.claim([third])
    assert ails(store) is None


def test_another_worker_s_answers_do_not_count(world: World, store: Store, clock: Clock) -> None:
    world.submit("a", "b")
    mine, others = world.ids()
    world.claim([mine])
    pass_with_lease(world, clock, LONG_S)
    other = world.another_worker()
    world.finish(*map(answer, world.claim([others], worker=other)), worker=other)
    rows = store.views.health(OWNER, within_s=WITHIN_S)
    assert [ailment(row, WITHIN_S) is None for row in rows] == [False, True]


def test_idle_for_long_while_work_waits_is_an_ailment(world: World, store: Store, clock: Clock) -> None:
    world.submit("a")
    pass_with_lease(world, clock, WITHIN_S)
    assert ails(store) is None
    pass_with_lease(world, clock, 1)
    assert "has taken nothing for 10 min 01 s, though jobs wait" in str(ails(store))


def test_work_that_has_just_come_is_no_reason(world: World, store: Store, clock: Clock) -> None:
    pass_with_lease(world, clock, LONG_S)
    world.submit("a")
    assert ails(store) is None


@pytest.mark.parametrize("why", ["another model", "paused", "another lane", "draining"])
def test_work_it_may_not_take_is_no_reason(world: World, store: Store, clock: Clock, why: str) -> None:
    batch = world.submit("a", lane=Lane.NORMAL)
    lanes = tuple(Lane)
    if why == "another model":
        world.join(OWNER, model="another")
    elif why == "paused":
        store.set_batch_state(batch, BatchState.PAUSED)
    elif why == "another lane":
        lanes = (Lane.HIGH, Lane.LOW)
    else:
        store.drain(world.worker)
    pass_with_lease(world, clock, LONG_S)
    assert ails(store, lanes=lanes) is None


def test_only_the_workers_of_this_place_are_looked_at(world: World, store: Store) -> None:
    world.join(replace(OWNER, boot_id="another"))
    world.join(replace(OWNER, pid_namespace="pid:[2]"))
    neighbour = world.another_worker()
    seen = store.views.health(replace(OWNER, pid=9), within_s=WITHIN_S)
    assert [row.worker.id for row in seen] == [world.worker, neighbour]


# --- the command ---------------------------------------------------------------------------------


@pytest.fixture
def here(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXMILL_DATABASE_URL", database_url)


def run(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(command, words, standalone_mode=False)
    assert done.exception is None, done.exception
    return done.return_value, done.stdout, done.stderr


def test_the_command_fails_where_no_worker_is(here: None, store: Store) -> None:
    assert run() == (1, "", "No worker holds a lease here.\n")


def test_the_command_says_who_is_well(here: None, world: World, store: Store, clock: Clock) -> None:
    clock.now = time.time()
    mine = world.join(Owner.current())
    assert run() == (0, f"Worker {mine} (m on CPU) is well, with nothing to do.\n", "")
    code, out, _ = run("--json")
    told = json.loads(out)
    assert (code, told["ailment"], told["held"], told["worker"]["id"]) == (0, None, 0, mine)


def test_the_command_fails_when_one_is_not(here: None, world: World, store: Store, clock: Clock) -> None:
    # The command asks the real clock, which has gone on since the test's stood still.
    mine = world.join(Owner.current())
    code, out, _ = run()
    assert (code, "is well" in out) == (1, False)
    assert out.startswith(f"Worker {mine} (m on CPU) has not renewed its lease")


def test_the_command_refuses_a_lane_there_is_not() -> None:
    done = CliRunner().invoke(command, ["--lanes", "highest"], standalone_mode=False)
    assert not isinstance(done.exception, click.ClickException)
    assert "--lanes takes some of high, normal, low" in str(done.exception)
