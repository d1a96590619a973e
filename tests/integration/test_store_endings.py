from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from pipeline import tables as t
from pipeline.errors import CODES, is_retried
from pipeline.jobs import CacheHit, Failure, JobSpec, PictureRead
from pipeline.locators import Picture
from pipeline.prompts import Prompt
from pipeline.store import Store
from pipeline.store.endings import MAX_ATTEMPTS
from tests.store_world import READ, Clock, World, answer, held

KEY = b"content-key-1234"


def images(world: World) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in world.rows(sa.select(t.images).order_by(t.images.c.sha256))]


# --- finish ------------------------------------------------------------------------------------


def test_an_answer_is_stored_with_all_that_says_how_it_came_about(world: World, clock: Clock) -> None:
    world.submit("a.jpg")
    (claim,) = world.claim()
    clock.pass_(2)
    figures = {"queue_s": 0.1, "read_s": 0.2, "vision_s": 0.3, "first_token_s": 0.4, "total_s": 0.5}
    given = answer(claim, "un \0 café \udc80", content_key=KEY, parsed={"n": 1}, logprob=-0.5, seed=7, **figures)
    assert world.finish(given) == {claim.id}
    (row,) = world.answers(claim.id)
    assert row.text == "un \ufffd café \\udc80"
    assert (row.claim_token, row.build_id, row.runtime_id, row.worker_id) == (
        1,
        world.build,
        world.runtime,
        world.worker,
    )
    assert (row.parsed, row.finish_reason, row.logprob, row.seed) == ({"n": 1}, "stop", -0.5, 7)
    assert (row.prompt_tokens, row.answer_tokens) == (10, 2)
    assert {name: row._mapping[name] for name in figures} == figures
    assert (bytes(row.content_key), row.cached_from, row.created) == (KEY, None, clock.now)
    job = world.job(claim.id)
    assert (job.state, job.worker_id, job.updated) == ("done", None, clock.now)


def test_what_was_read_is_stored_once(world: World, clock: Clock) -> None:
    world.submit("a.jpg", "b.jpg")
    claims = world.claim()
    world.finish(*map(answer, claims))
    assert images(world) == [(READ.sha256, 100, 4, 3, "JPEG", clock.now)]
    read = world.rows(sa.select(t.job_images.c.sha256))
    assert [bytes(row.sha256) for row in read] == [READ.sha256] * 2


def test_each_picture_of_a_job_has_its_own_content(world: World) -> None:
    pictures = tuple(Picture(f"file:///{n}") for n in range(2))
    world.add(world.open(), JobSpec.of(pictures=pictures, prompt=Prompt.ask("Which?"), model="m"))
    (claim,) = world.claim()
    reads = [PictureRead(sha256=bytes([n]) * 32, bytes=n, width=1, height=1, format="PNG") for n in (9, 5)]
    world.finish(answer(claim, pictures=reads))
    rows = world.rows(sa.select(t.job_images.c.sha256).order_by(t.job_images.c.position))
    assert [bytes(row.sha256)[0] for row in rows] == [9, 5]


def test_a_file_that_changed_since_it_was_submitted_is_noted(world: World) -> None:
    world.submit("a.jpg", "b.jpg")
    a, b = world.claim()
    changed = PictureRead(sha256=b"c" * 32, bytes=1, width=1, height=1, format="PNG", changed=True)
    world.finish(answer(a, pictures=[changed]), answer(b))
    assert [world.job(id).source_changed for id in (a.id, b.id)] == [True, False]


def test_a_stale_token_writes_nothing(world: World, store: Store) -> None:
    world.submit("a.jpg")
    (old,) = world.claim()
    store.give_back(held(old))
    (new,) = world.claim()
    assert world.finish(answer(old, "late")) == set()
    assert world.fail(old, "image_missing") is None
    assert store.give_back(held(old)) == 0
    store.count_crash(held(old))
    assert world.job(new.id).crashes == 0
    assert (world.answers(), world.states(), images(world)) == ([], ["running"], [])
    assert world.finish(answer(new), answer(old, "late")) == {new.id}
    assert [row.text for row in world.answers()] == ["a cat"]


def test_an_answer_counts_once(world: World) -> None:
    world.submit("a.jpg")
    (claim,) = world.claim()
    assert world.finish(answer(claim)) == {claim.id}
    assert world.finish(answer(claim, "again")) == set()
    assert [row.text for row in world.answers()] == ["a cat"]


def test_in_one_group_the_stale_are_left_out(world: World, store: Store) -> None:
    world.submit("a.jpg", "b.jpg")
    a, b = world.claim()
    store.give_back(held(b))
    assert world.finish(answer(a), answer(b)) == {a.id}
    assert world.states() == ["done", "queued"]


def test_nothing_to_finish(world: World) -> None:
    assert world.finish() == set()


# --- the answer cache --------------------------------------------------------------------------


def hit(claim: Any, of: int) -> CacheHit:
    return CacheHit(job=claim.id, token=claim.token, answer=of, pictures=(READ,), content_key=KEY)


def test_equal_content_takes_the_answer_over(world: World, clock: Clock) -> None:
    world.submit("a.jpg", "copy.jpg")
    a, copy = world.claim()
    figures: dict[str, Any] = {
        "logprob": -0.5,
        "seed": 7,
        "parsed": [1],
        "total_s": 5.0,
        "vision_s": 1.0,
        "first_token_s": 2.0,
    }
    world.finish(answer(a, content_key=KEY, **figures))
    (original,) = world.answers(a.id)
    clock.pass_(1)
    world.another_worker()
    assert world.finish(hit(copy, original.id)) == {copy.id}
    (row,) = world.answers(copy.id)
    same = ("text", "parsed", "build_id", "runtime_id", "prompt_tokens", "answer_tokens", "logprob", "finish_reason")
    assert [row._mapping[name] for name in same] == [original._mapping[name] for name in same]
    assert (row.seed, row.cached_from, row.claim_token) == (7, original.id, copy.token)
    assert (row.queue_s, row.read_s, row.vision_s, row.first_token_s, row.total_s) == (0, 0, 0, 0, 0)
    assert (bytes(row.content_key), row.created) == (KEY, clock.now)
    assert world.job(copy.id).state == "done"


def test_a_copy_of_a_copy_names_the_original(world: World, store: Store) -> None:
    world.submit("a.jpg", "b.jpg", "c.jpg")
    a, b, c = world.claim()
    world.finish(answer(a, content_key=KEY))
    for claim in (b, c):
        world.finish(hit(claim, store.cached([KEY])[KEY]))
    original = world.answers(a.id)[0].id
    assert [row.cached_from for row in world.answers()] == [None, original, original]


def test_answers_and_copies_in_one_group(world: World) -> None:
    world.submit("a.jpg", "b.jpg", "c.jpg")
    a, b, c = world.claim()
    world.finish(answer(a, content_key=KEY))
    assert world.finish(hit(b, world.answers()[0].id), answer(c, "a dog")) == {b.id, c.id}
    assert [row.text for row in world.answers()] == ["a cat", "a dog", "a cat"]


def test_an_answer_that_is_gone_cannot_be_taken_over(world: World) -> None:
    world.submit("a.jpg", "b.jpg")
    a, b = world.claim()
    assert world.finish(hit(a, 999), answer(b)) == {b.id}
    assert world.states() == ["queued", "done"]


# --- fail --------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [code for code in CODES if not is_retried(code)])
def test_what_no_other_try_can_help_fails_at_once(world: World, code: str) -> None:
    world.submit("a.jpg")
    (claim,) = world.claim()
    if code in ("cancelled", "deadline_passed"):  # which is for the batches to say, and none does
        assert world.fail(claim, code) == "queued"
        return
    assert world.fail(claim, code, "it is \udc80") == "failed"
    job = world.job(claim.id)
    assert (job.state, job.error_code, job.error, job.attempts) == ("failed", code, "it is \\udc80", 1)


def test_an_unknown_code_fails_at_once(world: World) -> None:
    world.submit("a.jpg")
    assert world.fail(world.claim()[0], "what_is_this") == "failed"


@pytest.mark.parametrize("code", [code for code in CODES if is_retried(code)])
def test_what_may_pass_is_tried_again_a_few_times(world: World, clock: Clock, code: str) -> None:
    world.submit("a.jpg")
    pauses = []
    for attempt in range(1, MAX_ATTEMPTS):
        (claim,) = world.claim()
        assert world.fail(claim, code, "busy") == "queued"
        job = world.job(claim.id)
        assert (job.state, job.attempts, job.error_code, job.error) == ("queued", attempt, code, "busy")
        pauses.append(job.run_after - clock.now)
        clock.now = job.run_after
    assert all(0.75 * 2**n <= pause <= 1.25 * 2**n for n, pause in enumerate(pauses))
    (claim,) = world.claim()
    assert world.fail(claim, code) == "failed"
    assert (world.job(claim.id).attempts, world.job(claim.id).run_after) == (MAX_ATTEMPTS, None)


def test_a_final_failure_is_final(world: World) -> None:
    world.submit("a.jpg")
    assert world.fail(world.claim()[0], "out_of_cache", final=True) == "failed"


def test_a_later_answer_clears_the_failure(world: World, clock: Clock) -> None:
    world.submit("a.jpg")
    world.fail(world.claim()[0], "fetch_failed")
    clock.pass_(60)
    (claim,) = world.claim()
    world.finish(answer(claim))
    job = world.job(claim.id)
    assert (job.state, job.error_code, job.error, job.run_after) == ("done", None, None, None)


def test_many_failures_at_once_go_their_own_ways(world: World, store: Store) -> None:
    world.submit(*(f"{n}.jpg" for n in range(5)))
    claims = world.claim()
    codes = ["image_missing", "fetch_failed", "image_too_large", "cancelled", "engine_stalled"]
    failures = [
        Failure(job=claim.id, token=claim.token, code=code, message=code)
        for claim, code in zip(claims, codes, strict=True)
    ]
    states = ["failed", "queued", "failed", "queued", "queued"]
    assert store.fail(failures) == {claim.id: state for claim, state in zip(claims, states, strict=True)}
    assert world.states() == states
    assert [world.job(claim.id).error_code for claim in claims] == [*codes[:3], None, codes[4]]
    assert store.fail(failures) == {}
    assert store.fail([]) == {}


def test_what_was_read_before_it_failed_is_kept(world: World) -> None:
    world.submit("a.jpg")
    world.fail(world.claim()[0], "prompt_too_long", pictures=(READ,))
    assert len(images(world)) == 1


# --- given back --------------------------------------------------------------------------------


def test_giving_back_counts_nothing(world: World, store: Store, clock: Clock) -> None:
    world.submit("a.jpg")
    queued = world.job(world.ids()[0]).queued
    world.tickets("m")
    (claim,) = world.claim()
    clock.pass_(5)
    assert store.give_back(held(claim)) == 1
    job = world.job(claim.id)
    assert (job.state, job.attempts, job.crashes, job.worker_id, job.ticketed_at) == ("queued", 0, 0, None, None)
    assert job.queued == queued


def test_a_crash_is_counted_for_a_job_that_stays_claimed(world: World, store: Store) -> None:
    world.submit("a.jpg", "b.jpg")
    a, b = world.claim()
    store.give_back(held(b))
    store.count_crash(held(a, b))
    assert [(world.job(id).state, world.job(id).crashes) for id in (a.id, b.id)] == [("running", 1), ("queued", 0)]
    store.count_crash([])


def test_who_kills_the_engine_alone_fails_at_once(world: World, store: Store) -> None:
    world.submit("a.jpg", "b.jpg")
    a, b = world.claim()
    store.count_crash(held(a))
    final = Failure(job=a.id, token=a.token, code="engine_crashed", message="it died", final=True)
    assert store.fail([final]) == {a.id: "failed"}
    job = world.job(a.id)
    assert (job.state, job.error_code, job.crashes) == ("failed", "engine_crashed", 1)
    assert world.job(b.id).state == "running"


def test_crashes_are_kept_when_a_job_is_given_back(world: World, store: Store) -> None:
    world.submit("a.jpg")
    for crashes in (0, 1, 2):
        (claim,) = world.claim()
        assert claim.crashes == crashes
        store.count_crash(held(claim))
        store.give_back(held(claim))
