from __future__ import annotations

import pytest

from pipeline.store import Store
from tests.store_world import Clock, World, answer


def answered(world: World, clock: Clock, count: int, *, every: float, took: float, model_prefix: str = "") -> None:
    names = [f"{model_prefix}{clock.now:.0f}-{number}.jpg" for number in range(count)]
    for claim in world.claim(world.ids(world.submit(*names))):
        clock.pass_(every)
        world.finish(answer(claim, total_s=took))


def test_nothing_answered_has_no_pace(store: Store) -> None:
    assert store.views.pace("m") is None


def test_times_without_work_do_not_count(world: World, clock: Clock) -> None:
    answered(world, clock, 10, every=0.5, took=2.0)
    clock.pass_(10_000)
    answered(world, clock, 10, every=0.5, took=2.0)
    found = world.store.views.pace("m")
    assert found is not None
    # Twice nine gaps of half a second, and the two seconds of the first answer each.
    assert (found.answers, found.rate) == (20, pytest.approx(20 / 13))


def test_other_models_have_their_own(world: World, clock: Clock) -> None:
    answered(world, clock, 2, every=1.0, took=1.0)
    assert world.store.views.pace("other") is None
