"""A plan's learning rate rises and falls once a stage."""

from __future__ import annotations

from itertools import pairwise

import pytest

from workers.demo.plan import LEAST, WARM_UP, Plan

PLAN = Plan(patch_steps=1000, joint_steps=800, polish_steps=600)


def test_stages_follow_each_other() -> None:
    assert [(stage.first, stage.steps) for stage in PLAN.stages] == [(0, 1000), (1000, 800), (1800, 600)]
    assert PLAN.steps == 2400


@pytest.mark.parametrize("number", range(3))
def test_the_rate_rises_then_falls(number: int) -> None:
    stage = PLAN.stages[number]
    rates = [PLAN.pace(step) for step in range(stage.first, stage.first + stage.steps)]
    assert all(one < other for one, other in pairwise(rates[: WARM_UP - 5]))
    assert all(one > other for one, other in pairwise(rates[WARM_UP:]))
    assert max(rates) == pytest.approx(stage.rate, rel=0.1)
    assert rates[-1] == pytest.approx(LEAST * stage.rate, rel=0.1)


def test_a_stage_may_be_left_out() -> None:
    short = Plan(patch_steps=1000, joint_steps=800, polish_steps=0)
    assert [short.pace(step) for step in range(short.steps)] == [PLAN.pace(step) for step in range(short.steps)]


def test_only_the_last_stage_is_polish() -> None:
    assert [step for step in range(PLAN.steps) if PLAN.is_polish(step)] == list(range(1800, 2400))
