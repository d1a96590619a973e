"""Follow-up questions in the store: asked in the transaction that decides about them, taken back when that changes."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from pipeline import tables as t
from pipeline.conditions import Condition
from pipeline.jobs import BatchState, CacheHit, Claim, Item, Lane
from pipeline.store import Added, InvalidRow, Store
from tests.store_world import READ, Clock, World, answer, check, held, spec

IS_CAR = Condition(ask=0, values=("car",))
KEY = b"content-key-1234"


def row(number: int, picture: str = "a.jpg", *, columns: dict[str, object] | None = None) -> list[Item]:
    """What is it? If it is a car: which color? If that is red: how fast?"""
    is_red = Condition(ask=1, values=("red",), contains=True)
    rest = {"row": number, "custom_id": f"id-{number}", "columns": columns}
    return [
        Item(spec=spec(picture, "What?"), ask=0, name="what", **rest),  # type: ignore[arg-type]
        Item(spec=spec(picture, "Color?"), ask=1, name="color", when=(IS_CAR,), **rest),  # type: ignore[arg-type]
        Item(spec=spec(picture, "Speed?"), ask=2, name="speed", when=(is_red,), **rest),  # type: ignore[arg-type]
    ]


def both(number: int) -> list[Item]:
    """Two questions, and a third that depends on both."""
    when = (Condition(ask=0, values=("yes",)), Condition(ask=1, values=("yes",)))
    first = [Item(spec=spec("a.jpg", f"{ask}?"), row=number, ask=ask) for ask in range(2)]
    return [*first, Item(spec=spec("a.jpg", "Both?"), row=number, ask=2, when=when)]


def opened(world: World, items: list[Item], name: str | None = None, *, force: bool = False) -> int:
    batch = world.open(name)
    world.store.add(batch, items, force=force)
    world.store.seal(batch, max((item.row for item in items), default=-1) + 1)
    return batch


def take(world: World, question: str, worker: int | None = None) -> list[Claim]:
    """Claim what waits of a question."""
    query = sa.select(t.jobs.c.id).join(t.prompts).where(t.prompts.c.question == question, t.jobs.c.state == "queued")
    claims = world.claim([found.id for found in world.rows(query)], worker)
    assert claims, question
    return claims


def say(world: World, question: str, text: str, **more: object) -> list[Claim]:
    """Answer what waits of a question."""
    claims = take(world, question)
    world.finish(*(answer(claim, text, **more) for claim in claims))
    return claims


def statements(world: World, act: Callable[[], object]) -> list[str]:
    """What the database was asked meanwhile."""
    seen: list[str] = []
    engine = world.store._engine

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        seen.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    act()
    sa.event.remove(engine, "before_cursor_execute", note)
    return seen


def asked(world: World, batch: int) -> list[tuple[int, int, str, str]]:
    """(row, ask, question, state) of each item."""
    query = (
        sa.select(t.batch_items.c.row_no, t.batch_items.c.ask_no, t.prompts.c.question, t.jobs.c.state)
        .join_from(t.batch_items, t.jobs, t.jobs.c.id == t.batch_items.c.job_id)
        .join(t.prompts, t.prompts.c.id == t.jobs.c.prompt_id)
        .where(t.batch_items.c.batch_id == batch)
        .order_by(t.batch_items.c.row_no, t.batch_items.c.ask_no)
    )
    return [tuple(found) for found in world.rows(query)]


# --- an answer lands ---------------------------------------------------------------------------


def test_a_follow_up_is_asked_once_its_condition_holds(world: World, store: Store) -> None:
    batch = world.open(lane=Lane.HIGH)
    assert store.add(batch, row(0, columns={"shop": "A"})) == Added(new=1, waiting=2)
    store.seal(batch, 1)
    assert asked(world, batch) == [(0, 0, "What?", "queued")]
    say(world, "What?", " Car.")
    assert asked(world, batch) == [(0, 0, "What?", "done"), (0, 1, "Color?", "queued")]
    item = world.rows(sa.select(t.batch_items).where(t.batch_items.c.ask_no == 1))[0]
    assert (item.custom_id, item.columns, item.name, item.ended) == ("id-0", {"shop": "A"}, "color", None)
    (claim,) = take(world, "Color?")
    assert (claim.pictures, claim.model) == (spec("a.jpg").pictures, "m")
    job = world.job(claim.id)
    assert (job.lane, bytes(job.job_key)) == (2, spec("a.jpg", "Color?").key)
    assert store.settle() == []
    world.finish(answer(claim, "It is dark red"))
    assert asked(world, batch)[2:] == [(0, 2, "Speed?", "queued")]
    say(world, "Speed?", "fast")
    assert store.settle() == [batch]


def test_a_false_condition_asks_nothing_and_the_batch_ends(world: World, store: Store) -> None:
    batch = opened(world, row(0))
    say(world, "What?", "a cart")
    assert asked(world, batch) == [(0, 0, "What?", "done")]
    assert store.views.progress(batch).total == 1
    assert store.settle() == [batch]


def test_each_row_is_decided_by_its_own_answer(world: World) -> None:
    batch = opened(world, [*row(0, "a.jpg"), *row(1, "b.jpg"), *row(2, "c.jpg")])
    a, b, c = take(world, "What?")
    world.finish(answer(a, "car"), answer(b, "boat"))
    world.finish(answer(c, "car"))
    assert [(place, ask) for place, ask, *_ in asked(world, batch)] == [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1)]


def test_several_conditions_must_all_hold_in_whatever_order_the_answers_come(world: World) -> None:
    batch = opened(world, both(0))
    say(world, "1?", "yes")
    assert len(asked(world, batch)) == 2
    say(world, "0?", "Yes.")
    assert asked(world, batch)[2] == (0, 2, "Both?", "queued")


def test_an_answer_from_the_cache_leads_on_as_well(world: World) -> None:
    (claim,) = world.do("other.jpg")
    world.finish(answer(claim))
    batch = opened(world, row(0))
    say(world, "What?", "car", content_key=KEY)
    again = opened(world, row(0, "same-content.jpg"))
    (claim,) = take(world, "What?")
    known = world.store.cached([KEY])[KEY]
    world.finish(CacheHit(job=claim.id, token=claim.token, answer=known, pictures=(READ,), content_key=KEY))
    assert [ask for _, ask, *_ in asked(world, again)] == [ask for _, ask, *_ in asked(world, batch)] == [0, 1]


def test_a_stale_answer_leads_nowhere(world: World, store: Store) -> None:
    batch = opened(world, row(0))
    (old,) = take(world, "What?")
    store.give_back(held(old))
    world.finish(answer(old, "car"))
    assert asked(world, batch) == [(0, 0, "What?", "queued")]


def test_one_job_of_two_batches_leads_on_in_both(world: World) -> None:
    first, second = opened(world, row(0)), opened(world, [*row(0, "b.jpg"), *row(1)])
    world.finish(*(answer(claim, "car") for claim in take(world, "What?")))
    assert asked(world, first)[1] == (0, 1, "Color?", "queued")
    assert asked(world, second)[3] == (1, 1, "Color?", "queued")
    assert world.ids(first)[1] == world.ids(second)[3]


def test_two_rows_with_one_picture_share_the_follow_up(world: World) -> None:
    batch = opened(world, [*row(0), *row(1)])
    say(world, "What?", "car")
    assert world.ids(batch)[1] == world.ids(batch)[3]


def test_what_fails_or_ends_leads_nowhere_until_it_is_answered(world: World, store: Store) -> None:
    batch = opened(world, row(0))
    (claim,) = take(world, "What?")
    world.fail(claim, "image_missing")
    assert store.settle() == [batch]
    assert asked(world, batch) == [(0, 0, "What?", "failed")]
    store.requeue([claim.id], fresh=False)
    say(world, "What?", "car")
    assert asked(world, batch)[1] == (0, 1, "Color?", "queued")


# --- linking -----------------------------------------------------------------------------------


def test_known_answers_decide_at_once(world: World, store: Store) -> None:
    opened(world, row(0))
    say(world, "What?", "car")
    say(world, "Color?", "red")
    again = world.open()
    assert store.add(again, row(0)) == Added(linked_done=2, linked_pending=1)
    store.seal(again, 1)
    assert [state for *_, state in asked(world, again)] == ["done", "done", "queued"]
    say(world, "Speed?", "slow")
    assert store.add(world.open(), row(0)) == Added(linked_done=3)


def test_a_known_answer_may_forbid_it(world: World, store: Store) -> None:
    opened(world, row(0))
    say(world, "What?", "boat")
    again = world.open()
    assert store.add(again, row(0)) == Added(linked_done=1)
    store.seal(again, 1)
    assert store.settle() == [1, again]


def test_a_row_split_between_two_calls_is_decided_whole(world: World, store: Store) -> None:
    batch = world.open()
    store.add(batch, row(0)[:1])
    say(world, "What?", "car")
    assert store.add(batch, row(0)[1:]) == Added(new=1, waiting=1)
    assert [ask for _, ask, *_ in asked(world, batch)] == [0, 1]


def test_a_rehearsal_counts_like_the_play(world: World, store: Store) -> None:
    opened(world, row(0))
    for question, text in (("What?", "car"), ("Color?", "red"), ("Speed?", "fast")):
        assert store.rehearse(row(0), force=False) == store.add(world.open(), row(0))
        say(world, question, text)
    rows = [*row(0), *row(1, "b.jpg")]
    assert store.rehearse(rows, force=False) == Added(new=1, linked_done=3, waiting=2)
    assert store.rehearse(rows, force=True) == Added(new=1, requeued=1, waiting=4)
    assert store.add(world.open(), rows, force=True) == Added(new=1, requeued=1, waiting=4)


# --- the same command again ----------------------------------------------------------------------


def test_the_same_command_finds_its_follow_ups_where_they_are(world: World, store: Store) -> None:
    batch = opened(world, row(0), "mine")
    say(world, "What?", "car")
    before = world.job(world.ids(batch)[1])
    world.open("mine")
    assert store.add(batch, row(0)) == Added(linked_done=1, linked_pending=1, waiting=1)
    store.seal(batch, 1)
    assert world.job(before.id) == before
    assert asked(world, batch) == [(0, 0, "What?", "done"), (0, 1, "Color?", "queued")]


def test_force_asks_follow_ups_again_once_they_are_due_again(world: World) -> None:
    opened(world, row(0))
    for question, text in (("What?", "car"), ("Color?", "red"), ("Speed?", "fast")):
        say(world, question, text)
    batch = opened(world, row(0), force=True)
    for question, text in (("What?", "car"), ("Color?", "red")):
        (claim,) = say(world, question, text)
        assert claim.fresh
    (claim,) = take(world, "Speed?")
    assert claim.fresh
    world.finish(answer(claim, "slow"))
    assert [state for *_, state in asked(world, batch)] == ["done"] * 3
    # Once only: what is answered again later for another reason does not ask all of it again.
    world.store.requeue([world.ids(batch)[0]], fresh=True)
    say(world, "What?", "car")
    assert [state for *_, state in asked(world, batch)] == ["done"] * 3


def test_other_questions_under_the_same_name_take_the_place(world: World, store: Store) -> None:
    batch = opened(world, row(0), "mine")
    say(world, "What?", "car")
    other = [row(0)[0], Item(spec=spec("a.jpg", "Wheels?"), row=0, ask=1, when=(IS_CAR,))]
    opened(world, other, "mine")
    assert [(place, ask, question) for place, ask, question, _ in asked(world, batch)] == [
        (0, 0, "What?"),
        (0, 1, "Wheels?"),
    ]
    assert world.states() == ["done", "cancelled", "queued"]
    opened(world, row(0)[:1], "mine")
    assert world.rows(sa.select(t.followups)) == []
    assert [ask for _, ask, *_ in asked(world, batch)] == [0]


def test_rows_that_are_gone_or_cannot_be_read_lose_their_follow_ups(world: World, store: Store) -> None:
    batch = opened(world, [*row(0), *row(1, "b.jpg"), *row(2, "c.jpg")], "mine")
    say(world, "What?", "car")
    world.open("mine")
    store.add_invalid(batch, [InvalidRow(row=1, code="row_invalid", message="no")])
    store.add(batch, row(0))
    store.seal(batch, 2)
    assert [(place, ask) for place, ask, *_ in asked(world, batch)] == [(0, 0), (0, 1)]
    assert {note.row_no for note in world.rows(sa.select(t.followups))} == {0}


# --- answered again ------------------------------------------------------------------------------


def test_another_answer_takes_back_what_the_first_led_to(world: World, store: Store) -> None:
    batch = opened(world, row(0))
    say(world, "What?", "car")
    say(world, "Color?", "red")
    (speed,) = take(world, "Speed?")
    store.requeue([world.ids(batch)[0]], fresh=True)
    assert len(asked(world, batch)) == 3
    say(world, "What?", "boat")
    assert asked(world, batch) == [(0, 0, "What?", "done")]
    # What a worker holds of it is stopped like all that nobody wants.
    assert store.unwanted(world.worker) == [speed.id]
    world.fail(speed, "cancelled")
    assert store.settle() == [batch]


def test_another_answer_leads_to_what_the_first_did_not(world: World, store: Store) -> None:
    batch = opened(world, row(0))
    say(world, "What?", "boat")
    store.settle()
    store.requeue([world.ids(batch)[0]], fresh=True)
    say(world, "What?", "car")
    assert asked(world, batch)[1] == (0, 1, "Color?", "queued")


def test_a_rerun_of_all_keeps_what_stays_true(world: World, store: Store) -> None:
    batch = opened(world, row(0))
    for question, text in (("What?", "car"), ("Color?", "red"), ("Speed?", "fast")):
        say(world, question, text)
    ids = world.ids(batch)
    store.requeue(ids, fresh=True, batch=batch)
    for question, text in (("Speed?", "slow"), ("What?", "car"), ("Color?", "blue")):
        say(world, question, text)
    assert [ask for _, ask, *_ in asked(world, batch)] == [0, 1]
    assert store.settle() == [batch]


# --- the batch ends first ------------------------------------------------------------------------


def test_a_cancelled_batch_asks_no_more_and_finds_it_when_it_runs_again(world: World, store: Store) -> None:
    batch = opened(world, row(0))
    (claim,) = take(world, "What?")
    store.set_batch_state(batch, BatchState.CANCELLED)
    world.finish(answer(claim, "car"))  # the engine was quicker
    assert asked(world, batch) == [(0, 0, "What?", "done"), (0, 1, "Color?", "cancelled")]
    assert store.tickets("m") == []
    store.requeue([world.ids(batch)[1]], fresh=False, batch=batch)
    say(world, "Color?", "red")
    assert asked(world, batch)[2] == (0, 2, "Speed?", "queued")


def test_a_deadline_ends_what_an_answer_led_to(world: World, store: Store, clock: Clock) -> None:
    batch = world.open(deadline=clock.now + 10)
    store.add(batch, row(0))
    store.seal(batch, 1)
    (claim,) = take(world, "What?")
    clock.pass_(11)
    assert store.settle() == [batch]
    world.finish(answer(claim, "car"))
    color = world.job(world.ids(batch)[1])
    assert (color.state, color.error_code) == ("cancelled", "deadline_passed")


def test_a_paused_batch_waits_with_what_its_answers_led_to(world: World, store: Store) -> None:
    batch = opened(world, row(0))
    (claim,) = take(world, "What?")
    store.set_batch_state(batch, BatchState.PAUSED)
    world.finish(answer(claim, "car"))
    assert asked(world, batch)[1] == (0, 1, "Color?", "queued")
    assert store.tickets("m") == []
    store.set_batch_state(batch, BatchState.IN_PROGRESS)
    assert world.tickets() == [[world.ids(batch)[1]]]


def test_a_completed_batch_stays_as_it_was_when_another_asks_again(world: World, store: Store) -> None:
    first = opened(world, [*row(0), *row(1, "b.jpg")])
    say(world, "What?", "boat")
    assert store.settle() == [first]
    second = opened(world, row(0)[:1], force=True)
    say(world, "What?", "car")
    assert len(asked(world, first)) == 2
    assert store.settle() == [second]
    # Until it goes on itself.
    store.requeue([world.ids(first)[1]], fresh=False, batch=first)
    assert asked(world, first)[1] == (0, 1, "Color?", "queued")


def test_a_job_that_no_batch_lists_any_more_is_not_asked_again(world: World, store: Store) -> None:
    batch = opened(world, row(0))
    say(world, "What?", "car")
    (color,) = say(world, "Color?", "red")
    store.requeue([world.ids(batch)[0]], fresh=True)
    say(world, "What?", "boat")
    assert store.requeue([color.id], fresh=True) == 0
    assert world.job(color.id).state == "done"


# --- nothing to follow ---------------------------------------------------------------------------


def test_without_follow_ups_nothing_is_looked_for(world: World) -> None:
    """One look whether any batch has some, and no more."""
    world.submit("a.jpg")
    (claim,) = world.claim()
    seen = statements(world, lambda: world.finish(answer(claim)))
    assert sum("followups" in text for text in seen) == 1


def test_with_follow_ups_the_rest_of_the_database_is_as_before(world: World, store: Store) -> None:
    opened(world, row(0))
    world.submit("b.jpg", question="Else?")
    world.finish(*(answer(claim) for claim in take(world, "Else?")))
    seen = statements(world, lambda: say(world, "What?", "boat"))
    assert sum("INSERT INTO batch_items" in text for text in seen) == 0


# --- whatever happens ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_what_is_asked_follows_from_the_answers(
    world: World, store: Store, clock: Clock, seed: int
) -> None:
    """Answers, failures, commands again, with force, paused, cancelled, expired, run again, in any order."""
    rng = random.Random(seed)
    items = [*row(0), *row(1, "b.jpg"), *row(2)]
    batches: list[int] = []

    def submit() -> None:
        name = rng.choice((None, "mine", "mine"))
        batch = world.open(name, deadline=rng.choice((None, clock.now + 50)))
        store.add(batch, items[: rng.choice((3, 9))], force=rng.random() < 0.3)
        store.seal(batch, 3)
        batches.append(batch)

    def work() -> None:
        for claim in world.claim(rng.sample(world.ids(), k=len(world.ids()) // 2 + 1)):
            if rng.random() < 0.2:
                world.fail(claim, rng.choice(("image_missing", "fetch_failed", "cancelled")))
            elif rng.random() < 0.9:
                world.finish(answer(claim, rng.choice(("car", "car", "red", "boat"))))

    def decide() -> None:
        state = rng.choice((BatchState.PAUSED, BatchState.IN_PROGRESS, BatchState.CANCELLED))
        store.set_batch_state(rng.choice(batches), state)

    def again() -> None:
        ids = rng.choices(world.ids(), k=2)
        store.requeue(ids, fresh=rng.random() < 0.5, batch=rng.choice((None, rng.choice(batches))))

    def later() -> None:
        clock.pass_(rng.choice((1, 30)))
        store.settle()

    submit()
    for _ in range(60):
        rng.choice((submit, work, work, work, decide, again, later))()
        check(store)
    store.leave(world.worker)
