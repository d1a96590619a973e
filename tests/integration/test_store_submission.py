from __future__ import annotations

import pytest
import sqlalchemy as sa

from pipeline import tables as t
from pipeline.errors import BatchTaken, BatchUnknown
from pipeline.jobs import BatchState, Item, JobSpec, Lane
from pipeline.locators import Picture
from pipeline.prompts import Prompt
from pipeline.store import Added, InvalidRow, Store
from tests.store_world import Clock, World, answer, held, spec


def test_new_rows_become_jobs(world: World, clock: Clock) -> None:
    batch = world.open(lane=Lane.HIGH)
    assert world.add(batch, spec("a.jpg"), spec("b.jpg")) == Added(new=2)
    (a, b) = world.ids(batch)
    job = world.job(a)
    assert (job.state, job.model, job.lane, job.created, job.queued) == ("queued", "m", 2, clock.now, clock.now)
    pictures = world.rows(sa.select(t.job_images).order_by(t.job_images.c.job_id))
    assert [(p.job_id, p.position, p.locator, p.size, p.mtime_ns) for p in pictures] == [
        (a, 0, "file:///pictures/a.jpg", 100, 1),
        (b, 0, "file:///pictures/b.jpg", 100, 1),
    ]


def test_a_job_keeps_its_pictures_in_order(world: World) -> None:
    pictures = tuple(Picture(f"file:///{name}.jpg") for name in "zay")
    world.add(world.open(), JobSpec.of(pictures=pictures, prompt=Prompt.ask("Which?"), model="m"))
    assert world.claim()[0].pictures == pictures


def test_the_prompt_comes_back_as_it_was(world: World) -> None:
    prompt = Prompt(messages=(("system", "Be \0 brief \udc80"), ("user", "What ✓?")), form={"choices": ["yes", "no"]})
    world.add(world.open(), JobSpec.of(pictures=(Picture("file:///a"),), prompt=prompt, model="m"))
    claimed = world.claim()[0].prompt
    assert claimed == prompt
    assert claimed.digest == prompt.digest


def test_one_prompt_is_stored_once(world: World) -> None:
    world.submit("a.jpg", "b.jpg", question="What?")
    world.submit("c.jpg", question="What?")
    world.submit("c.jpg", question="Who?")
    assert [row.question for row in world.rows(sa.select(t.prompts).order_by(t.prompts.c.id))] == ["What?", "Who?"]


def test_columns_and_custom_ids_are_kept_and_odd_characters_survive(world: World) -> None:
    batch = world.open()
    columns = {"price": 3, "note": "\0 \udc80 ✓", "none": None}
    world.store.add(batch, [Item(spec=spec("a.jpg"), row=0, custom_id="id\0\udc80", columns=columns)])
    item = world.rows(sa.select(t.batch_items))[0]
    assert item.columns == columns
    assert item.custom_id == "id\ufffd\\udc80"


def test_a_known_job_is_linked(world: World) -> None:
    first = world.submit("waits.jpg", "runs.jpg", "done.jpg")
    waits, runs, done = world.ids(first)
    world.finish(*map(answer, world.claim([done])))
    world.claim([runs])
    batch = world.open()
    known = world.add(batch, *map(spec, ("waits.jpg", "runs.jpg", "done.jpg", "new.jpg")))
    assert known == Added(new=1, linked_pending=2, linked_done=1)
    assert world.ids(batch)[:3] == [waits, runs, done]
    assert world.states(batch) == ["queued", "running", "done", "queued"]


def test_a_failed_or_cancelled_job_runs_again(world: World, clock: Clock) -> None:
    first = world.submit("failed.jpg", "cancelled.jpg")
    failed, cancelled = world.ids(first)
    (claim,) = world.claim([failed])
    world.fail(claim, "image_missing")
    world.store.set_batch_state(first, BatchState.CANCELLED)
    assert world.states(first) == ["failed", "cancelled"]
    clock.pass_(5)
    batch = world.open()
    assert world.add(batch, spec("failed.jpg"), spec("cancelled.jpg")) == Added(requeued=2)
    for id in (failed, cancelled):
        job = world.job(id)
        assert (job.state, job.attempts, job.error_code, job.error, job.fresh) == ("queued", 0, None, None, False)
        assert job.queued == clock.now


def test_force_asks_again_about_what_is_done(world: World) -> None:
    (claim,) = world.do("a.jpg")
    batch = world.open()
    assert world.add(batch, spec("a.jpg"), force=True) == Added(requeued=1)
    again = world.claim()[0]
    assert (again.id, again.fresh, again.token) == (claim.id, True, claim.token + 1)
    world.finish(answer(again, "a dog"))
    assert [row.text for row in world.answers(claim.id)] == ["a cat", "a dog"]
    assert world.job(claim.id).fresh is False


def test_force_leaves_a_running_job_alone_and_freshens_a_waiting_one(world: World) -> None:
    first = world.submit("runs.jpg", "waits.jpg")
    (runs, waits) = world.ids(first)
    world.claim([runs])
    assert world.add(world.open(), spec("runs.jpg"), spec("waits.jpg"), force=True) == Added(linked_pending=2)
    assert [world.job(id).state for id in (runs, waits)] == ["running", "queued"]
    assert [world.job(id).fresh for id in (runs, waits)] == [False, True]


def test_two_rows_with_one_body_are_two_items_of_one_job(world: World) -> None:
    batch = world.open()
    assert world.add(batch, spec("a.jpg"), spec("a.jpg"), spec("b.jpg")) == Added(new=2, linked_pending=1)
    a, same, b = world.ids(batch)
    assert a == same != b


def test_two_models_about_one_picture_are_two_jobs(world: World) -> None:
    assert world.add(world.open(), spec("a.jpg"), spec("a.jpg", model="other")) == Added(new=2)


def test_a_job_in_two_batches_has_the_higher_lane(world: World) -> None:
    world.submit("a.jpg", lane=Lane.LOW)
    (job,) = world.ids()
    assert world.job(job).lane == 0
    world.submit("a.jpg", lane=Lane.HIGH)
    world.submit("a.jpg", lane=Lane.NORMAL)
    assert world.job(job).lane == 2


def test_a_rehearsal_counts_like_the_play_and_changes_nothing(world: World, store: Store) -> None:
    world.do("done.jpg")
    world.submit("waits.jpg", "failed.jpg")
    world.fail(world.claim(world.ids()[2:])[0], "image_missing")
    items = [Item(spec=spec(name), row=0) for name in ("done.jpg", "waits.jpg", "failed.jpg", "new.jpg", "new.jpg")]
    for force in (False, True):
        before = world.rows(sa.select(t.jobs))
        counted = store.rehearse(items, force=force)
        assert world.rows(sa.select(t.jobs)) == before
        assert (counted.linked_done, counted.requeued) == ((0, 2) if force else (1, 1))
        assert (counted.new, counted.linked_pending) == (1, 2)
    assert store.add(world.open(), items, force=True) == counted


# --- names -------------------------------------------------------------------------------------


def test_a_batch_without_a_name_gets_one_that_tells_its_origin(store: Store) -> None:
    made = [store.open_batch(None, origin="watch:photos", spec={}) for _ in range(3)]
    assert len({batch.name for batch in made}) == 3
    assert all(batch.name.startswith("watch-19700112-134640-") for batch in made)


def test_the_same_command_opens_its_batch_again(world: World) -> None:
    batch = world.submit("a.jpg", name="mine")
    world.finish(*map(answer, world.claim()))
    assert world.store.settle() == [batch]
    assert world.open("mine", lane=Lane.HIGH) == batch
    row = world.batch(batch)
    assert (row.state, row.finished, row.lane) == ("validating", None, 2)


def test_another_command_cannot_take_a_name(store: Store) -> None:
    store.open_batch("mine", origin="run", spec={"paths": ["a"], "size": (1, 2)})
    store.open_batch("mine", origin="run", spec={"size": [1, 2], "paths": ["a"]})
    with pytest.raises(BatchTaken, match=r"'mine' was made by another command.*\"paths\":\[\"a\"\]"):
        store.open_batch("mine", origin="run", spec={"paths": ["b"]})


def test_a_batch_submitted_again_has_its_new_items_only(world: World) -> None:
    batch = world.submit("a.jpg", "b.jpg", "c.jpg", name="mine")
    a, b, c = world.ids(batch)
    world.finish(*map(answer, world.claim([a])))
    world.open("mine")
    world.add(batch, spec("a.jpg"), spec("new.jpg"))
    world.store.seal(batch, 2)
    assert world.ids(batch)[0] == a
    assert len(world.ids(batch)) == 2
    assert [world.job(id).state for id in (b, c)] == ["cancelled", "cancelled"]
    assert world.states(batch) == ["done", "queued"]


def test_a_replaced_item_that_another_batch_wants_goes_on(world: World) -> None:
    batch = world.submit("a.jpg", name="mine", lane=Lane.HIGH)
    other = world.submit("a.jpg")
    (a,) = world.ids(batch)
    world.open("mine", lane=Lane.HIGH)
    world.add(batch, spec("b.jpg"))
    assert world.ids(other) == [a]
    assert (world.job(a).state, world.job(a).lane) == ("queued", 1)


def test_a_row_may_be_split_between_calls_and_may_lose_questions(world: World, store: Store) -> None:
    batch = world.open("mine")
    asks = [Item(spec=spec("a.jpg", f"{n}?"), row=7, ask=n) for n in range(3)]
    store.add(batch, asks[:1])
    store.add(batch, asks[1:])
    assert len(world.ids(batch)) == 3
    store.add(batch, asks[:1])
    store.add(batch, asks[1:2])
    assert len(world.ids(batch)) == 2
    assert world.states() == ["queued", "queued", "cancelled"]


def test_a_completed_batch_that_gets_items_is_not_complete(world: World) -> None:
    batch = world.submit("a.jpg")
    world.finish(*map(answer, world.claim()))
    world.store.settle()
    world.add(batch, spec("b.jpg"), first=1)
    assert world.batch(batch).state == "validating"
    assert len(world.claim()) == 1


def test_items_for_no_batch_are_refused(world: World) -> None:
    with pytest.raises(BatchUnknown):
        world.add(99, spec("a.jpg"))
    assert world.ids() == []


# --- rows that cannot become jobs ----------------------------------------------------------------


def test_an_invalid_row_stays_in_its_batch_with_the_reason(world: World, store: Store) -> None:
    batch = world.open()
    bad = InvalidRow(row=1, custom_id="x", columns={"a": 1}, code="row_invalid", message="no path \udc80")
    store.add_invalid(batch, [bad])
    world.add(batch, spec("a.jpg"))
    store.seal(batch, 2)
    item = world.rows(sa.select(t.batch_items).where(t.batch_items.c.row_no == 1))[0]
    assert (item.job_id, item.custom_id, item.columns, item.error_code) == (None, "x", {"a": 1}, "row_invalid")
    assert item.error == "no path \\udc80"
    world.finish(*map(answer, world.claim()))
    assert store.settle() == [batch]


def test_a_mended_row_takes_its_place(world: World, store: Store) -> None:
    batch = world.open("mine")
    store.add_invalid(batch, [InvalidRow(row=0, code="row_invalid", message="no")])
    world.add(batch, spec("a.jpg"))
    assert [(row.error_code, row.ended) for row in world.rows(sa.select(t.batch_items))] == [(None, None)]
    store.add_invalid(batch, [InvalidRow(row=0, code="row_invalid", message="no")])
    assert world.states() == ["cancelled"]


def test_requeueing_by_submission_opens_the_items_of_other_batches_too(world: World) -> None:
    first = world.submit("a.jpg", "b.jpg")
    a, _ = world.ids(first)
    world.fail(world.claim([a])[0], "image_missing")
    world.submit("a.jpg")
    assert world.store.settle() == []
    (claim,) = world.claim([a])
    world.store.give_back(held(claim))
    assert world.states(first) == ["queued", "queued"]


def test_what_is_submitted_again_unchanged_is_not_written_again(world: World, store: Store, clock: Clock) -> None:
    def items(shop: str, id: str = "1") -> list[Item]:
        made = [Item(spec=spec(name), row=row, custom_id=id, columns={"shop": shop}) for row, name in enumerate("ab")]
        return [*made, Item(spec=spec("c", "Two?"), row=1, ask=1)]

    def stored() -> list[tuple[object, ...]]:
        return [tuple(row) for row in world.rows(sa.select(t.batch_items).order_by(t.batch_items.c.row_no))]

    bad = InvalidRow(row=2, code="row_invalid", message="no", columns={"shop": "Rome"})
    batch = world.open("mine")
    store.add(batch, items("Oslo"))
    store.add_invalid(batch, [bad])
    world.finish(*map(answer, world.claim()))
    before = stored()
    clock.pass_(10)
    assert store.add(batch, items("Oslo")) == Added(linked_done=3)
    store.add_invalid(batch, [bad])
    assert stored() == before
    store.add(batch, items("Bonn")[:2])
    assert [row[5] for row in stored()] == [{"shop": "Bonn"}, {"shop": "Bonn"}, {"shop": "Rome"}]
    store.add(batch, items("Bonn", "2")[:1])
    assert [row[4] for row in stored()] == ["2", "1", None]


def test_without_the_cache_only_what_is_asked_now_looks_past_it(world: World) -> None:
    world.submit("done.jpg", "failed.jpg", "waits.jpg")
    world.do("done.jpg")
    (failed,) = world.claim([world.ids()[1]])
    world.fail(failed, "image_missing")
    batch = world.store.open_batch(None, origin="run", spec={"no_cache": True}).id
    names = ("done.jpg", "failed.jpg", "waits.jpg", "new.jpg")
    assert world.add(batch, *map(spec, names)) == Added(new=1, linked_done=1, linked_pending=1, requeued=1)
    assert [world.job(id).fresh for id in world.ids(batch)] == [False, True, False, True]


def test_a_claim_knows_of_the_tries_before_it(world: World, clock: Clock) -> None:
    world.submit("a.jpg")
    (first,) = world.claim()
    assert (first.attempts, first.failed_with, first.sampling.temperature) == (0, None, 0.0)
    world.fail(first, "invalid_answer")
    clock.pass_(60)
    (second,) = world.claim()
    assert (second.attempts, second.failed_with) == (1, "invalid_answer")
    assert (second.sampling.temperature, second.sampling.seed) == (0.7, 1)
    world.fail(second, "engine_crashed")
    clock.pass_(60)
    (third,) = world.claim()
    assert third.sampling == first.sampling
