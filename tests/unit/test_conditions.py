from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.conditions import Condition, verdict

VALUES = st.lists(st.text(min_size=1), min_size=1, max_size=3).map(tuple)
CONDITIONS = st.builds(Condition, ask=st.integers(0, 5), values=VALUES, contains=st.booleans())


def is_(*values: str, ask: int = 0) -> Condition:
    return Condition(ask=ask, values=values)


def has(*values: str, ask: int = 0) -> Condition:
    return Condition(ask=ask, values=values, contains=True)


@pytest.mark.parametrize(
    ("condition", "answer"),
    [
        (is_("yes"), "Yes."),
        (is_("yes"), ' "YES" \n'),
        (is_("dark  red"), "dark red"),
        (is_("Straße"), "STRASSE"),
        (is_("e\u0301t\u00e9"), "\u00c9t\u00e9"),
        (is_("no", "yes"), "**yes**"),
        (is_("はい"), "はい。"),
        (is_("?"), "?"),
        (has("car"), "A red Car, parked."),
        (has("$"), "It costs $5"),
        (has("dog", "red car"), "a RED\ncar"),
    ],
)
def test_an_answer_that_fits(condition: Condition, answer: str) -> None:
    assert condition.holds(answer)


@pytest.mark.parametrize(
    ("condition", "answer"),
    [(is_("yes"), "yes, it is"), (is_("car"), "cart"), (is_("?"), "!"), (has("car"), "a dog"), (is_("a", "b"), "ab")],
)
def test_an_answer_that_does_not(condition: Condition, answer: str) -> None:
    assert not condition.holds(answer)


@given(CONDITIONS)
def test_a_condition_is_stored_and_comes_back(condition: Condition) -> None:
    assert Condition.from_data(json.loads(json.dumps(condition.data()))) == condition


@given(st.text())
def test_every_answer_fits_itself(text: str) -> None:
    assert is_(text).holds(text)
    assert has(text).holds(f"x {text} y")


def test_all_conditions_must_hold() -> None:
    both = (is_("yes"), has("red", ask=1))
    assert verdict(both, {0: "yes", 1: "dark red"}) is True
    assert verdict(both, {0: "yes", 1: "blue"}) is False
    assert verdict((), {}) is True


def test_what_is_not_known_yet_decides_only_where_nothing_forbids_it() -> None:
    both = (is_("yes"), has("red", ask=1))
    assert verdict(both, {0: "yes", 1: None}) is None
    assert verdict(both, {0: None, 1: None}) is None
    assert verdict(both, {0: None, 1: "blue"}) is False
    assert verdict(both, {0: "no", 1: None}) is False


def test_what_depends_on_a_question_that_was_not_asked_is_not_asked() -> None:
    assert verdict((is_("yes"),), {}) is False
    assert verdict((is_("yes"), is_("yes", ask=1)), {0: None}) is False


@given(st.lists(CONDITIONS, max_size=4), st.dictionaries(st.integers(0, 5), st.none() | st.text(max_size=3)))
def test_an_answer_more_never_turns_a_verdict(conditions: list[Condition], answers: dict[int, str | None]) -> None:
    """What was decided while some answers were open stays decided, whatever they will be."""
    known = verdict(conditions, answers)
    later = verdict(conditions, {ask: "x" if text is None else text for ask, text in answers.items()})
    assert later is not None
    assert known in (None, later)
