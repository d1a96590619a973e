"""What changed, in both databases."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from pipeline.errors import SinceUnfit
from pipeline.reporting import sentences
from pipeline.store.changes import ENOUGH, Changes
from tests.store_world import Clock, World, answer
from workers.reporting.page import render

HOUR, DAY = 3600.0, 86_400.0


def say(world: World, text: str, **more: Any) -> None:
    """Every waiting job is answered so."""
    world.finish(*[answer(claim, text, **more) for claim in world.claim()])
    world.store.settle()


def changes(world: World, since: float, most: int = 20) -> Changes:
    return world.store.views.changes(since, most)


def test_nothing_has_changed_in_an_empty_store(world: World, clock: Clock) -> None:
    found = changes(world, clock.now - DAY)
    assert (found.answers, found.failures, found.waiting, found.differing) == ({}, {}, 0, 0)
    assert "0 new" in "\n".join(sentences.lines(found))


def test_only_what_is_new_counts(world: World, clock: Clock) -> None:
    world.submit("a", "b")
    say(world, "old")
    world.submit("broken")
    world.fail(world.claim()[0], "image_missing")
    clock.pass_(DAY)
    since = clock.now
    world.submit("c", "torn", "d", "e")
    first, torn, *_ = world.claim()
    world.finish(answer(first))
    world.fail(torn, "image_truncated")
    found = changes(world, since)
    assert found.answers == {"m": 1}
    assert found.failures == {"image_truncated": 1}
    assert (found.waiting, found.failed) == (2, 2)
    assert changes(world, 0.0).failures == {"image_missing": 1, "image_truncated": 1}


def test_answers_that_differ_from_those_before_are_shown(world: World, clock: Clock) -> None:
    world.submit("a", "b", "c", name="n")
    say(world, "a cat")
    clock.pass_(DAY)
    since = clock.now
    world.submit("a", "b", name="m", force=True)
    claims = world.claim()
    world.finish(answer(claims[0]), answer(claims[1], "<b>a dog"))
    world.submit("new")
    say(world, "anything")
    found = changes(world, since)
    (one,) = found.differences
    assert (found.differing, one.question, one.before, one.now) == (1, "What?", "a cat", "<b>a dog")
    assert one.picture.endswith("b")
    cut = changes(world, since, 0)
    assert (cut.differing, cut.differences) == (1, ())
    assert "and 1 more" in "\n".join(sentences.lines(cut))
    page = render(found)
    assert "&lt;b&gt;a dog" in page
    assert "<b>a dog" not in page


@pytest.mark.parametrize(("seconds", "slower"), [(1.2, False), (1.5, True)])
def test_a_machine_is_compared_with_itself_a_week_before(
    world: World, clock: Clock, seconds: float, slower: bool
) -> None:
    world.submit(*(f"a{number}" for number in range(ENOUGH)))
    say(world, "x", total_s=1.0)
    clock.pass_(DAY)
    since = clock.now
    world.submit(*(f"b{number}" for number in range(ENOUGH)))
    say(world, "x", total_s=seconds)
    found = changes(world, since)
    assert [(one.before_s, one.now_s) for one in found.slower] == ([(1.0, seconds)] if slower else [])
    if slower:
        assert "1.5 s an answer, 1.0 s before" in "\n".join(sentences.lines(found))


def test_a_few_answers_say_nothing_about_a_machine(world: World, clock: Clock) -> None:
    world.submit("a")
    say(world, "x", total_s=1.0)
    clock.pass_(DAY)
    world.submit("b")
    say(world, "x", total_s=9.0)
    assert changes(world, clock.now).slower == ()


def test_since_is_said_as_people_say_it() -> None:
    now = datetime(2026, 11, 20, 13, 30).astimezone().timestamp()
    assert now - sentences.since("today", now) == 13.5 * HOUR
    assert now - sentences.since("yesterday", now) == 37.5 * HOUR
    assert now - sentences.since("24h", now) == DAY
    with pytest.raises(SinceUnfit):
        sentences.since("lately", now)


def test_changes_are_json(world: World, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    from pipeline.display import echo_json

    world.submit("a")
    echo_json(changes(world, clock.now))
    assert json.loads(capsys.readouterr().out)["waiting"] == 1
