"""How answers are marked: against figures of the evaluations that others publish, and by what must always hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluation import texts, vqa
from pipeline.evaluation.cider import Corpus, cider, cider_d
from pipeline.evaluation.metrics import METRICS, chosen
from pipeline.evaluation.words import words

ANSWER = st.text(alphabet="ab yesnothe1.,?'-é\n", max_size=12)
ANSWERS = st.lists(ANSWER, min_size=1, max_size=10)
CAPTION = st.lists(st.sampled_from(["a", "the", "red", "cat", "dog", "on", "it's"]), max_size=8).map(" ".join)


# --- VQA accuracy --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("The Cat.", "cat"),
        ("two dogs", "2 dogs"),
        ("None", "0"),
        ("It's a t-shirt, isnt it?", "it's t shirt isn't it"),
        ("1,000", "1000"),
        ("3.5 m.", "3.5 m"),
        ("black/white", "black white"),
        ("black / white", "black white"),
        ("couldnt've", "couldn't've"),
        ("an apple and a pear", "apple and pear"),
        ("U.S.A.", "usa"),
        ("What?!", "what"),
        ("(left) [right]", "left right"),
        ("y'alld've", "y'all'd've"),
        ("a\tb\nc", "b c"),
        ("ten 10", "10 10"),
        ("don't, dont", "don't don't"),
        ("10:30 a.m.", "10:30 am"),
        ("twas", "'twas"),
        ("1,000-2,000", "10002000"),
    ],
)
def test_the_plain_form_is_the_challenge_s(text: str, plain: str) -> None:
    """Source: what GT-Vision-Lab/VQA, PythonEvaluationTools/vqaEvaluation/vqaEval.py at a013f00 makes of them."""
    assert vqa.normalised(text) == plain


@pytest.mark.parametrize(("same", "score"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)])
def test_accuracy_of_ten_people(same: int, score: float) -> None:
    """Source: the mean of min(matches / 3, 1) over each nine of ten, https://visualqa.org/evaluation.html, by hand:
    of three who agree, 3 of 10 times two are left (2/3) and 7 of 10 times three (1), so 0.9."""
    people = ["two"] * same + [f"other {number}" for number in range(10 - same)]
    assert vqa.accuracy("2", people) == pytest.approx(score, abs=0.0005)


@pytest.mark.parametrize(
    ("answers", "score"),
    [(["A cat."], 1.0), (["dog"], 0.0), (["cat", "dog"], 0.5), (["cat"] * 2, 1.0), (["cat", "cat", "dog"], 2 / 3)],
)
def test_accuracy_of_fewer_people(answers: list[str], score: float) -> None:
    assert vqa.accuracy("cat", answers) == pytest.approx(score)


@given(ANSWER, ANSWERS)
def test_accuracy_lies_between_none_and_all(said: str, answers: list[str]) -> None:
    assert 0 <= vqa.accuracy(said, answers) <= 1
    assert vqa.accuracy(said, [said] * len(answers)) == pytest.approx(1)
    assert vqa.accuracy(said, answers[:1]) == vqa.accuracy(answers[0], [said])


# --- texts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "right"), [("Two.", True), (" two ", True), ('"Two"', True), ("two cats", False), ("three", False)]
)
def test_what_is_an_exact_match(said: str, right: bool) -> None:
    assert texts.exact(said, ["one", "two"]) == right


@pytest.mark.parametrize(
    ("said", "answers", "score"),
    [
        ("sitting", ["kitten"], 0.571),  # 3 of 7 letters
        ("Flaw", ["lawn"], 0.0),  # 2 of 4: half is too much
        ("INVOICE  12", ["invoice 12"], 1.0),
        ("invoice 13", ["invoice 12", "bill"], 0.9),
        ("", ["a"], 0.0),
        ("", [""], 1.0),
    ],
)
def test_anls(said: str, answers: list[str], score: float) -> None:
    """Source: by hand, after equation 1 of Biten et al., Scene Text Visual Question Answering (ICCV 2019)."""
    assert texts.anls(said, answers) == pytest.approx(score, abs=0.0005)


@given(ANSWER, ANSWERS)
def test_likeness_lies_between_nothing_and_the_same(said: str, answers: list[str]) -> None:
    assert 0 <= texts.exact(said, answers) <= 1 and 0 <= texts.anls(said, answers) <= 1
    assert texts.exact(said, [*answers, said]) == texts.anls(said, [*answers, said]) == 1
    assert texts.anls(said, answers[:1]) == pytest.approx(texts.anls(answers[0], [said]))
    assert texts.exact(said, answers[:1]) == texts.exact(answers[0], [said])


@given(ANSWER, ANSWER, ANSWER)
def test_distance_is_one(one: str, other: str, third: str) -> None:
    apart = texts.distance(one, other)
    assert abs(len(one) - len(other)) <= apart <= max(len(one), len(other))
    assert (apart == 0) == (one == other)
    assert apart == texts.distance(other, one) <= texts.distance(one, third) + texts.distance(third, other)


# --- captions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("caption", "taken"),
    [
        ("A black-and-white cat; it's asleep!", "a black-and-white cat it 's asleep"),
        ("Two dogs don't look at the camera (outside).", "two dogs do n't look at the camera -lrb- outside -rrb-"),
        ("The sign says \"STOP\" and 'GO'.", "the sign says stop and go"),
        ("Mr. Smith can't see the U.S. flag...", "mr. smith ca n't see the u.s. flag"),
        ("A red/blue kite at 5:30 p.m. costs $3.50, 10% off.", "a red/blue kite at 5:30 p.m. costs $ 3.50 10 % off"),
        ("The dogs' bowls & the cat's -- in a room - here", "the dogs bowls & the cat 's in a room here"),
        ("3,000 people watched the no. 7 player's run.", "3,000 people watched the no. 7 player 's run"),
        ("they'll've gone; we'd gonna cannot go.", "they 'll 've gone we 'd gon na can not go"),
        ("“quoted” text – and ‘single’ marks…", "quoted text and single marks"),
        ("rock 'n' roll, ain't o'clock y'all 'tis shan't", "rock 'n' roll ai n't o'clock y' all 't is sha n't"),
        ("What? No!! Yes?! one,two three.four", "what no !! yes ?! one two three.four"),
        ("A $5 bill and £3 coin, 1990s '90s", "a $ 5 bill and # 3 coin 1990s '90s"),
    ],
)
def test_the_words_are_the_captioning_evaluation_s(caption: str, taken: str) -> None:
    """Source: PTBTokenizer of pycocoevalcap 1.2 (Stanford CoreNLP 3.4.1)."""
    assert " ".join(words(caption)) == taken


def figures() -> list[dict[str, Any]]:
    lines = (Path(__file__).parents[1] / "cider.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_cider_is_that_of_its_authors() -> None:
    """Source: CIDEr-D from pycocoevalcap 1.2 (its Cider, after its tokenizer); CIDEr from vrama91/cider at f281464."""
    told = figures()
    corpus = Corpus.of(one["truth"] for one in told)
    for metric, name in ((cider_d, "cider_d"), (cider, "cider")):
        scores = [metric(one["said"], one["truth"], corpus) for one in told]
        assert scores == pytest.approx([one[name] for one in told], abs=0.0005), name
    assert sum(one["cider_d"] for one in told) / len(told) == pytest.approx(1.880, abs=0.0005)


@given(CAPTION, st.lists(st.lists(CAPTION, min_size=1, max_size=3), min_size=1, max_size=4))
def test_cider_lies_between_nothing_and_ten(said: str, truths: list[list[str]]) -> None:
    corpus = Corpus.of(truths)
    for metric in (cider, cider_d):
        assert -1e-9 <= metric(said, truths[0], corpus) <= 10 + 1e-9
    one, other = truths[0][0], truths[-1][-1]
    assert cider(one, [other], corpus) == pytest.approx(cider(other, [one], corpus))


def test_the_same_caption_has_ten() -> None:
    corpus = Corpus.of([["a red cat sits on it"], ["the dog"]])
    assert cider("A red cat sits on it.", ["a red cat sits on it"], corpus) == pytest.approx(10)
    assert cider_d("A red cat sits on it.", ["a red cat sits on it"], corpus) == pytest.approx(10)
    assert cider("", ["the dog"], corpus) == cider_d("", ["the dog"], corpus) == 0


# --- the table -----------------------------------------------------------------------------------


def test_what_is_asked_for_else_what_suits() -> None:
    assert [metric.name for metric in chosen((), captions=False)] == ["vqa", "exact", "anls"]
    assert [metric.name for metric in chosen((), captions=True)] == ["cider-d", "cider"]
    assert [metric.name for metric in chosen(("anls", "cider", "anls"), captions=True)] == ["anls", "cider"]
    assert (METRICS["vqa"].shown(0.5), METRICS["cider"].shown(0.5), METRICS["vqa"].shown(None)) == (
        "50.0%",
        "0.500",
        "-",
    )
