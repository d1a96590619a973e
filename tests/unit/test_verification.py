from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from pipeline.models.findings import Findings
from pipeline.prompts import Sampling
from pipeline.store import Store
from tests.house import House
from workers.engine.core import Ending
from workers.engine.requests import Completion, Refusal, Request
from workers.verification import seen
from workers.verification.exam import Exam
from workers.verification.judging import NEAR, NEAR_EXACT, Unfit, Verdict, judge

ASKED = [Request(id=id, frames=(), messages=(("user", f"Question {id}?"),), sampling=Sampling()) for id in range(3)]
EMPTY = Refusal(id=0, code="empty_answer", message="the model answered nothing")


def said(text: str, *logprobs: float, logprob: float | None = -0.5) -> Completion:
    """A completion with a token for each word; a word is its own token."""
    words = text.split()
    ids = [sum(map(ord, word)) for word in words]
    pairs = list(zip(ids, logprobs or [-0.3] * len(words), strict=True))
    return Completion(
        id=0,
        text=text,
        finish_reason="stop",
        prompt_tokens=9,
        answer_tokens=len(words),
        logprob=logprob,
        vision_s=0.0,
        first_token_s=0.0,
        total_s=0.0,
        tokens=pairs,
    )


ONE, OTHER, THIRD = said("a red cat"), said("a blue dog"), said("two things")


def judged(answers: Sequence[Ending], reference: Sequence[Ending] | None, forced: Ending | None = None) -> Verdict:
    def say(question: Request, text: str) -> Ending:
        assert forced, "nothing parts"
        return forced

    return judge(ASKED, answers, reference, say, near=NEAR)


def test_the_same_words_from_both_engines() -> None:
    verdict = judged([ONE, OTHER, THIRD], [ONE, OTHER, THIRD])
    assert (verdict.answers, verdict.equal, verdict.tokens, verdict.widest_gap) == (3, 3, 8, None)


def test_without_another_engine_there_is_nothing_to_compare() -> None:
    assert judged([replace(ONE, tokens=None), OTHER, THIRD], None).equal is None


def test_parting_at_a_near_tie_is_forgiven() -> None:
    forced = said("a white cat", -0.3, -0.9, -0.3)
    verdict = judged([ONE, OTHER, THIRD], [said("a white cat"), OTHER, THIRD], forced)
    assert (verdict.equal, verdict.widest_gap) == (2, pytest.approx(0.6))


def test_parting_at_a_plain_choice_is_not() -> None:
    forced = said("a white cat", -0.3, -4.3, -0.3)
    with pytest.raises(Unfit, match=r"'a red cat', one at a time 'a white cat'.*likelier by 4.00"):
        judged([ONE, OTHER, THIRD], [said("a white cat"), OTHER, THIRD], forced)


def test_in_full_floats_the_engines_must_be_closer() -> None:
    assert NEAR_EXACT < 0.6 < NEAR
    with pytest.raises(Unfit):
        judge(
            ASKED,
            [ONE, OTHER, THIRD],
            [said("a white cat"), OTHER, THIRD],
            lambda question, text: said("a white cat", -0.3, -0.9, -0.3),
            near=NEAR_EXACT,
        )


@pytest.mark.parametrize("forced", [EMPTY, said("something else")])
def test_where_the_gap_cannot_be_told_it_is_not_made_up(forced: Ending) -> None:
    verdict = judged([ONE, OTHER, THIRD], [said("a white cat"), OTHER, THIRD], forced)
    assert (verdict.equal, verdict.widest_gap) == (2, None)


def test_blanks_and_half_characters_do_not_count() -> None:
    cut = said("a white cat\N{REPLACEMENT CHARACTER}")
    verdict = judged([ONE, OTHER, THIRD], [cut, OTHER, THIRD], said(" a white cat", -0.3, -0.5, -0.3))
    assert verdict.widest_gap == pytest.approx(0.2)


@pytest.mark.parametrize("broken", [said("a cat", -0.1, float("nan")), said("a cat", logprob=None)])
def test_probabilities_that_are_no_numbers(broken: Completion) -> None:
    with pytest.raises(Unfit, match="no numbers"):
        judged([ONE, OTHER, broken], [ONE, OTHER, broken])


def test_a_model_that_does_not_see() -> None:
    with pytest.raises(Unfit, match="does not see"):
        judged([ONE, OTHER, THIRD], [ONE, ONE, THIRD])
    with pytest.raises(Unfit, match="does not see"):
        judged([ONE, ONE, THIRD], None)
    assert judged([ONE, ONE, THIRD], [ONE, OTHER, THIRD], said("a blue dog", -0.3, -0.4, -0.3)).equal == 2


def test_the_same_words_with_other_probabilities_are_no_blindness() -> None:
    again = said("a red cat", logprob=-0.5001)
    assert judged([ONE, again, THIRD], [ONE, again, THIRD]).equal == 3


def test_being_sure_of_the_same_is_no_blindness() -> None:
    sure = said("a cat", logprob=-1e-7)
    assert judged([sure, sure, THIRD], [sure, sure, THIRD]).equal == 3


def test_a_model_that_says_nothing() -> None:
    with pytest.raises(Unfit, match="answers nothing"):
        judged([EMPTY] * 3, [EMPTY] * 3)
    assert judged([EMPTY, OTHER, THIRD], [EMPTY, OTHER, THIRD]).equal == 3
    with pytest.raises(Unfit, match="in a batch it says '', one at a time 'a red cat'"):
        judged([EMPTY, OTHER, THIRD], [ONE, OTHER, THIRD])


def test_a_refused_picture() -> None:
    refused = Refusal(id=0, code="image_unsupported", message="no such shape")
    with pytest.raises(Unfit, match=r"asked 'Question 0\?' about a drawn picture, no such shape"):
        judged([refused, OTHER, THIRD], None)


def test_the_exam_is_the_same_each_time() -> None:
    with Exam() as one, Exam() as other:
        assert one.questions == other.questions
        frames = [question.frames[0] for question in one.questions]
        assert frames[0] == frames[2] != frames[1], "the same is asked about two pictures"
        assert one.questions[0].messages == one.questions[1].messages
        assert len({(frame.width, frame.height) for frame in frames}) == 1, (
            "what is said could differ by the size alone"
        )


# --- what is stored ------------------------------------------------------------------------------

FIGURES: dict[str, Any] = {
    "load_s": 1.24,
    "peak_memory": 512_000_000,
    "tokens_per_second": 31.4,
    "answers": 3,
    "equal": 3,
    "widest_gap": None,
    "engine": "batching",
    "device_name": "Some CPU",
    "versions": {"openvino_genai": "2026.4"},
    "options": {},
}


TWO = "2 of 3 answers as one at a time, the others at near-ties"


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        ({}, "all 3 answers as one at a time"),
        ({"equal": 2, "widest_gap": 0.214}, f"{TWO} (0.21 apart at most)"),
        ({"equal": 2}, f"{TWO} (how near could not be told)"),
        ({"equal": None}, "3 answers, with no other engine to compare them with"),
    ],
)
def test_findings_in_words(changes: dict[str, Any], end: str) -> None:
    told = Findings(**json.loads(json.dumps(FIGURES | changes)))
    assert told.sentence() == f"loads in 1.2 s, 512 MB at most, 31 tokens/s; {end}"


def test_what_counts_as_seen(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    model, other = House(store).model("one"), House(store).model("other")
    monkeypatch.setattr("workers.verification.version", lambda package: "2026.4")
    assert not seen(store, model, "CPU")
    store.verified(model.build, "CPU", FIGURES)
    assert seen(store, model, "CPU")
    assert not seen(store, model, "GPU")
    assert not seen(store, other, "CPU")
    monkeypatch.setattr("workers.verification.version", lambda package: "2027.0")
    assert not seen(store, model, "CPU")
    store.verified(model.build, "CPU", FIGURES | {"versions": {"openvino_genai": "2027.0"}})
    assert seen(store, model, "CPU")
    rows = store.verifications(model.digest)
    assert [row.figures["versions"]["openvino_genai"] for row in rows] == ["2027.0", "2026.4"]
