"""A plan's learning rate rises and falls once a stage."""

from __future__ import annotations

from itertools import pairwise

import pytest

from workers.demo.plan import LEAST, WARM_UP, Plan

PLAN = Plan(patch_steps=1000, joint_steps=800, patch_rate=2e-3, joint_rate=1e-3)


def test_the_stages_follow_each_other() -> None:
    assert PLAN.steps == 1800
    assert [step for step in range(PLAN.steps) if PLAN.is_joint(step)] == list(range(1000, 1800))


@pytest.mark.parametrize(("stage", "rate"), [(range(1000), 2e-3), (range(1000, 1800), 1e-3)])
def test_the_rate_rises_then_falls(stage: range, rate: float) -> None:
    rates = [PLAN.pace(step) for step in stage]
    assert all(one < other for one, other in pairwise(rates[: WARM_UP - 5]))
    assert all(one > other for one, other in pairwise(rates[WARM_UP:]))
    assert max(rates) == pytest.approx(rate, rel=0.1)
    assert rates[-1] == pytest.approx(LEAST * rate, rel=0.1)
