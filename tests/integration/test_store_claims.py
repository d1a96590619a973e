from __future__ import annotations

import pytest

from pipeline.store import Store
from pipeline.store.claims import Prompts
from tests.store_world import OWNER, Clock, World, answer, held, spec


def test_a_claim_takes_jobs_under_a_token(world: World, clock: Clock) -> None:
    world.submit("a.jpg", "b.jpg")
    a, b = world.ids()
    clock.pass_(5)
    claims = world.claim([b, a])
    assert [claim.id for claim in claims] == [b, a]
    claim = claims[1]
    assert (claim.token, claim.prompt.question, claim.model, claim.crashes, claim.fresh) == (1, "What?", "m", 0, False)
    assert claim.pictures == spec("a.jpg").pictures
    assert claim.queued_s == 5
    assert (world.job(a).state, world.job(a).worker_id) == ("running", world.worker)


def test_nobody_claims_what_is_claimed_or_has_ended(world: World) -> None:
    world.submit("runs.jpg", "done.jpg", "failed.jpg", "waits.jpg")
    runs, done, failed, waits = world.claim()
    world.finish(answer(done))
    world.fail(failed, "image_missing")
    world.store.give_back(held(waits))
    assert [claim.id for claim in world.claim(worker=world.another_worker())] == [waits.id]
    assert world.job(runs.id).claim_token == 1


def test_the_token_rises_with_each_claim(world: World, store: Store) -> None:
    world.submit("a.jpg")
    tokens = []
    for _ in range(3):
        (claim,) = world.claim()
        tokens.append(claim.token)
        store.give_back(held(claim))
    assert tokens == [1, 2, 3]


def test_garbage_claims_nothing(world: World, store: Store) -> None:
    world.submit("a.jpg", "b.jpg")
    a, b = world.ids()
    ids: list[object] = [b, "1", None, -1, 0, 2**63, 2**200, 1.0, True, [a], {}, 999_999, b, a, a]
    assert [claim.id for claim in store.claim(ids, world.worker)] == [b, a]
    assert store.claim([], world.worker) == []


def test_a_job_in_back_off_is_not_due(world: World, clock: Clock) -> None:
    world.submit("a.jpg")
    (claim,) = world.claim()
    world.fail(claim, "fetch_failed")
    assert world.claim() == []
    clock.now = world.job(claim.id).run_after
    assert len(world.claim()) == 1


def test_a_worker_gets_jobs_of_its_model_only(world: World) -> None:
    world.add(world.open(), spec("a.jpg"), spec("a.jpg", model="other"))
    mine, others = world.ids()
    assert [claim.id for claim in world.claim()] == [mine]
    worker = world.another_worker(model="other")
    assert [claim.id for claim in world.claim(worker=worker)] == [others]


@pytest.mark.parametrize(("device", "wins"), [("CPU", ["any", "CPU"]), ("GPU.1", ["any", "GPU"])])
def test_a_job_that_asks_for_a_device_gets_it(world: World, device: str, wins: list[str]) -> None:
    asked = {"any": None, "CPU": "CPU", "GPU": "GPU"}
    world.add(world.open(), *(spec("a.jpg", device_class=device_class) for device_class in asked.values()))
    names = dict(zip(world.ids(), asked, strict=True))
    claims = world.claim(worker=world.another_worker(device=device))
    assert [names[claim.id] for claim in claims] == wins


def test_who_is_no_worker_claims_nothing(world: World, store: Store, clock: Clock) -> None:
    world.submit("a.jpg")
    assert world.claim(worker=999) == []
    gone = world.another_worker(lease_s=10)
    clock.pass_(10)
    store.reap(OWNER)
    assert world.claim(worker=gone) == []
    assert world.another_worker() == gone
    assert len(world.claim(worker=gone)) == 1


def test_prompts_are_fetched_once_and_not_all_kept(world: World, store: Store) -> None:
    world.add(world.open(), *(spec("a.jpg", f"{number}?") for number in range(5)))
    prompts = Prompts(size=2)
    with store.reading() as connection:
        assert {prompt.question for prompt in prompts.get(connection, range(1, 6)).values()} == {
            f"{number}?" for number in range(5)
        }
    assert len(prompts._known) == 2
    assert prompts.get(None, prompts._known.keys()) == prompts._known  # type: ignore[arg-type]


def test_what_was_answered_before_is_known_by_its_content(world: World, store: Store) -> None:
    world.submit("a.jpg", "b.jpg", "c.jpg")
    a, b, c = world.claim()
    world.finish(answer(a, content_key=b"same" * 4), answer(b, content_key=b"same" * 4), answer(c))
    assert store.cached([b"same" * 4, b"none" * 4]) == {b"same" * 4: world.answers(b.id)[0].id}
    assert store.cached([]) == {}
