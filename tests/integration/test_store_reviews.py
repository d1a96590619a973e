from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from pipeline.jobs import CacheHit, JobSpec
from pipeline.prompts import Prompt
from pipeline.store import Store, endings
from pipeline.store.reviews import Outcome, Review, Verdict
from pipeline.tables import reviews
from tests.store_world import MODEL, READ, Clock, World, answer, spec

KEY = b"k" * 16
WRONG, RIGHT = Verdict.WRONG, Verdict.RIGHT


def says(answer: int, verdict: Verdict = Verdict.CORRECTED, text: str | None = None, by: str | None = None) -> Review:
    return Review(answer=answer, verdict=verdict, text=text, by=by)


def current(store: Store, job: int = 1) -> tuple[int, str]:
    (row,) = store.views.answers(where=[f"job={job}"])
    return row.id, row.text


def again(world: World, text: str, job: int = 1) -> None:
    """The job is answered once more."""
    world.store.requeue([job], fresh=True)
    (claim,) = world.claim([job])
    world.finish(answer(claim, text))


@pytest.fixture
def copied(world: World) -> World:
    """Two jobs with one answer between them: 1 from the engine, 2 from the cache."""
    world.submit("a.jpg", "b.jpg")
    a, b = world.claim()
    world.finish(answer(a, content_key=KEY))
    world.finish(CacheHit(job=b.id, token=b.token, answer=1, content_key=KEY, pictures=(READ,)))
    return world


def test_a_persons_text_counts_also_after_later_answers(world: World, store: Store) -> None:
    world.do("a.jpg")
    assert store.review([says(1, text="a tabby cat")]) == [Outcome.STORED]
    again(world, "a dog")
    assert current(store) == (1, "a tabby cat")
    assert [row.text for row in world.answers()] == ["a cat", "a dog"]
    store.review([says(2, text="a tabby")])
    assert current(store) == (2, "a tabby")


def test_a_verdict_marks_and_changes_nothing(world: World, store: Store) -> None:
    world.do("a.jpg")
    store.review([says(1, WRONG, by="ann")])
    assert current(store) == (1, "a cat")
    (row,) = store.views.answers(where=["verdict=wrong"])
    assert row.review is not None
    assert (row.review.verdict, row.review.reviewer) == ("wrong", "ann")
    again(world, "a dog")
    assert current(store) == (2, "a dog")
    assert list(store.views.answers(where=["verdict=wrong"])) == []


@pytest.mark.parametrize("reviewed", [1, 2])
def test_copies_share_the_reviews_of_their_origin(copied: World, store: Store, reviewed: int) -> None:
    store.review([says(reviewed, text="a lynx")])
    assert [current(store, job) for job in (1, 2)] == [(1, "a lynx"), (2, "a lynx")]
    assert {row.review.text for row in store.views.answers() if row.review} == {"a lynx"}
    assert store.review([says(3 - reviewed, text="a lynx")]) == [Outcome.KNOWN]
    assert [row.answer_id for row in copied.rows(reviews.select())] == [1]


def test_a_later_copy_has_the_review_too(copied: World, store: Store) -> None:
    store.review([says(2, WRONG)])
    copied.submit("c.jpg")
    (claim,) = copied.claim([3])
    copied.finish(CacheHit(job=claim.id, token=claim.token, answer=2, content_key=KEY, pictures=(READ,)))
    assert [row.id for row in store.views.answers(where=["verdict=wrong"])] == [3, 2, 1]


def test_the_same_again_adds_nothing(world: World, store: Store) -> None:
    world.do("a.jpg", "b.jpg")
    said = [says(1, WRONG), says(2, text="a lynx")]
    assert store.review(said) == [Outcome.STORED] * 2
    assert store.review(said) == [Outcome.KNOWN] * 2
    assert store.review([says(1, RIGHT)]) == [Outcome.STORED]
    assert store.review([says(1, WRONG)]) == [Outcome.STORED]
    assert len(world.rows(reviews.select())) == 4


def test_one_file_says_one_thing_of_an_answer(copied: World, store: Store) -> None:
    seen: dict[int, Review] = {}
    assert store.review([says(1, WRONG), says(2, WRONG), says(2, text="x")], seen) == [
        Outcome.STORED,
        Outcome.KNOWN,
        Outcome.DOUBLED,
    ]
    assert store.review([says(2, RIGHT), says(99, RIGHT)], seen) == [Outcome.DOUBLED, Outcome.UNKNOWN]
    assert [row.verdict for row in copied.rows(reviews.select())] == ["wrong"]


def test_history_tells_all_that_was_said(world: World, store: Store, clock: Clock) -> None:
    world.do("a.jpg")
    store.review([says(1, WRONG, by="ann")])
    clock.pass_(60)
    store.review([says(1, text="a lynx", by="bob")])
    again(world, "a dog")
    newest, first = store.views.history(1)
    assert (newest.answer.text, newest.current, newest.reviews) == ("a dog", False, ())
    assert (first.answer.text, first.answer.model_text, first.current) == ("a lynx", "a cat", True)
    assert [(said.verdict, said.reviewer, said.text) for said in first.reviews] == [
        ("corrected", "bob", "a lynx"),
        ("wrong", "ann", None),
    ]
    assert first.reviews[0].created - first.reviews[1].created == 60


def test_what_was_wrong_can_be_run_again(world: World, store: Store) -> None:
    world.do("a.jpg", "b.jpg", name="some")
    store.review([says(2, WRONG)])
    assert list(store.views.ended("some", where=["verdict=wrong"])) == [(2, "done")]
    assert [id for id, _ in store.views.ended("some", where=["verdict!=wrong"])] == [1]


@pytest.mark.parametrize(("text", "value"), [("No", "no"), ("perhaps", None)])
def test_a_correction_is_read_by_the_form_of_its_question(
    world: World, store: Store, text: str, value: str | None
) -> None:
    prompt = Prompt.ask("Is it?", form={"kind": "choices", "choices": ["yes", "no"]})
    question = JobSpec.of(spec("a.jpg").pictures, prompt, MODEL)
    batch = world.open()
    world.add(batch, question)
    (claim,) = world.claim()
    world.finish(answer(claim, "yes", parsed="yes"))
    store.review([says(1, text=text)])
    (row,) = store.views.answers()
    assert (row.text, row.parsed, row.model_text) == (text, value, "yes")


def test_a_correction_sees_the_copy_that_is_just_being_made(world: World, store: Store) -> None:
    world.submit("a.jpg", "b.jpg")
    a, b = world.claim()
    world.finish(answer(a, content_key=KEY))
    copy = CacheHit(job=b.id, token=b.token, answer=1, content_key=KEY, pictures=(READ,))
    source = endings.Source(worker=world.worker, build=world.build, runtime=world.runtime)
    with ThreadPoolExecutor() as pool:
        with store._writing() as (connection, now):
            assert endings.finish(connection, [copy], source, now) == {b.id}
            correcting = pool.submit(store.review, [says(1, text="a lynx")])
            # It cannot end before this does; if it could, it would within that time.
            assert wait([correcting], timeout=0.5).not_done
        assert correcting.result() == [Outcome.STORED]
    assert [row.text for row in store.views.answers("lynx")] == ["a lynx", "a lynx"]
