"""Two models' answers side by side: pairs, truth, what the table and the page tell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pipeline.evaluation.truth import Truth
from pipeline.jobs import BatchState, State
from pipeline.locators import Picture
from pipeline.store.rows import AnswerRow, ItemRow, PictureRow, RuntimeRow
from pipeline.store.values import Added, Counts, OpenBatch
from tests.house import LIMITS, draw
from tests.rows import BUILD, PROMPT
from workers.comparison import pairs
from workers.comparison.page import render
from workers.comparison.pairs import KEPT, Tally, count, similarity
from workers.comparison.report import Report
from workers.comparison.side import Side
from workers.engine.client import Figures
from workers.marked import LISTED
from workers.opener import Opener
from workers.session import Outcome

RUNTIME = RuntimeRow(engine="batching", device="CPU", device_name="", versions={}, options={})


def picture(locator: str) -> PictureRow:
    none: dict[str, Any] = dict.fromkeys(("size", "mtime_ns", "sha256", "bytes", "width", "height", "format"))
    return PictureRow(name=locator.removeprefix("file://"), locator=locator, **none)


def item(row: int, text: str | None, *, question: str = "What?", locator: str | None = None) -> ItemRow:
    shown = (picture(locator or f"file:///pictures/{row}.png"),)
    none: dict[str, Any] = dict.fromkeys(("batch", "custom_id", "columns", "error_code", "error", "updated", "model"))
    answer = None if text is None else _answer(text, question, shown)
    return ItemRow(
        row=row,
        ask=0,
        job=row,
        state=State.DONE if answer else State.FAILED,
        attempts=1,
        pictures=shown,
        question=question,
        prompt=PROMPT,
        answer=answer,
        **none,
    )


def _answer(text: str, question: str, pictures: tuple[PictureRow, ...]) -> AnswerRow:
    zero: dict[str, Any] = dict.fromkeys(("queue_s", "read_s", "vision_s", "first_token_s", "total_s", "created"), 0.0)
    none = dict.fromkeys(("review", "parsed", "worker", "logprob", "seed", "cached_from"))
    counts = dict.fromkeys(("id", "job", "prompt_tokens", "answer_tokens"), 1)
    texts = {"question": question, "text": text, "model_text": text, "model": "demo", "finish_reason": "stop"}
    return AnswerRow(pictures=pictures, prompt=PROMPT, build=BUILD, runtime=RUNTIME, **texts, **zero, **none, **counts)


def tally(one: list[str | None], other: list[str | None], known: Truth | None = None) -> Tally:
    sides = ([item(row, text) for row, text in enumerate(texts)] for texts in (one, other))
    return count(*sides, known or Truth())


# --- pairs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "share"),
    [
        ("a red cat", "a red cat", 1.0),
        ("a red cat", "a red dog", 2 / 3),
        ("a cat", "two dogs here", 0.0),
        ("a", "a b", 2 / 3),
    ],
)
def test_similarity_counts_words_in_order(one: str, other: str, share: float) -> None:
    assert similarity(one, other) == pytest.approx(share)


def test_pairs_are_counted_and_the_worst_come_first() -> None:
    told = tally(["a cat", "a red cat", "a dog", "x"], ["a cat", "a red dog", "two birds", None])
    assert (told.compared, told.equal, told.left_out, told.pictures) == (3, 1, 1, 4)
    assert told.equal_share == pytest.approx(1 / 3)
    assert told.mean_similarity == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert [pair.said for pair in told.worst] == [("a dog", "two birds"), ("a red cat", "a red dog")]


def test_only_the_worst_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "KEPT", 3)
    alike = ["a b c d", "a b c x", "a b x x", "a x x x", "x x x x", "a b c x"]
    told = tally(alike, ["a b c d"] * 6)
    assert [round(pair.similarity, 2) for pair in told.worst] == [0.0, 0.25, 0.5]
    assert KEPT > LISTED


def test_other_requests_in_the_same_place_are_not_compared() -> None:
    one = [item(0, "a"), item(1, "b"), item(2, "c")]
    other = [item(0, "a", question="Why?"), item(1, "b", locator="file:///else.png")]
    told = count(one, other, Truth())
    assert (told.compared, told.left_out) == (0, 3)
    assert (told.equal_share, told.mean_similarity) == (None, None)


# --- truth ---------------------------------------------------------------------------------------


def test_truth_counts_where_it_is_known() -> None:
    known = Truth()
    known.add("0.png", "What?", "a cat")
    known.add("2.png", "What?", "a dog")
    told = tally(["A cat.", "a bird", "a cow"], ["a cat", "a bird", "a dog"], known)
    assert (told.with_truth, told.right) == (2, [1, 2])
    assert (told.accuracy(0), told.accuracy(1)) == (0.5, 1.0)


# --- the report ----------------------------------------------------------------------------------


def side(model: str, *, known: bool = False, **changes: Any) -> Side:
    outcome = Outcome(
        batch=OpenBatch(1, f"compare-{model}"),
        state=BatchState.COMPLETED,
        counts=Counts(total=4, done=4),
        added=Added(linked_done=4 if known else 0),
        cached=0,
        seconds=3.0,
        engine=Figures() if known else Figures(load_s=1.0, peak_memory=200_000_000),
        interrupted=False,
        all_seen=True,
    )
    told = {"build": model * 32, "family": "llava", "precision": "int4", "device": "CPU", "size": 3_000_000, **changes}
    return Side(model=model, outcome=outcome, **told)


def report(one: list[str | None], other: list[str | None], *, known: Truth | None = None, **sides: Any) -> Report:
    pair = (sides.get("a") or side("aa"), sides.get("b") or side("bb"))
    return Report(sides=pair, tally=tally(one, other, known))


def test_figures_of_both_sides() -> None:
    told = report(["a", "b", "c", "d"], ["a", "b", "c", "x"], b=side("bb", known=True))
    rows = {name: tuple(values) for name, *values in told.rows()}
    assert rows["Answers/s"] == ("2.00", "not measured")
    assert rows["Pictures/s"] == ("2.00", "not measured")
    assert rows["Peak memory"] == ("200 MB", "not measured")
    assert rows["Size on disk"] == ("3.0 MB", "3.0 MB")
    assert "Right" not in rows
    sentences = " ".join(told.sentences())
    assert "Equal: 3 of 4 answers (75.0%)." in sentences
    assert "bb: all answers were known before, so no speed was measured; --force asks again." in sentences
    assert told.document()["equal_share"] == 0.75
    assert told.exit_code == 0


def test_the_same_build_twice_is_said() -> None:
    told = report(["a"], ["a"], b=side("bb", build="aa" * 32))
    assert next(told.sentences()) == "Both are the same build."
    assert told.document()["same_build"] is True


def test_failures_and_a_stop_have_their_exit_codes() -> None:
    one = side("aa")
    failed = replace(one, outcome=replace(one.outcome, counts=Counts(total=4, done=3, failed=1)))
    assert report(["a"], [None], b=failed).exit_code == 3
    assert ("Answers", "4", "3, 1 failed") in report(["a"], [None], b=failed).rows()
    assert "Not compared: 1" in " ".join(report(["a"], [None], b=failed).sentences())


def test_the_worst_with_their_truth() -> None:
    known = Truth()
    known.add("0.png", "What?", "a cat")
    told = report(["a cat"], ["a dog"], known=known)
    assert told.worst_head() == ("ALIKE", "PICTURE", "QUESTION", "aa", "bb", "TRUTH")
    assert list(told.worst(5)) == [("0.50", "0.png", "What?", "a cat", "a dog", "a cat")]
    assert ("Right", "1 of 1 (100.0%)", "0 of 1 (0.0%)") in told.rows()


# --- the page ------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What a browser would find: tags that close, images, and words."""

    VOID = frozenset({"meta", "img", "input", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag != "script"
        if tag == "img":
            self.images.append(dict(attrs))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)


@pytest.fixture(scope="module")
def opener() -> Iterator[Opener]:
    with Opener(LIMITS) as one:
        yield one


def test_a_page_with_small_copies_of_the_pictures(tmp_path: Path, opener: Opener) -> None:
    draw(tmp_path / "a.bmp", 5, (900, 300))
    locator = Picture.at(tmp_path / "a.bmp", None).locator
    sides = [[item(0, text, locator=locator), item(1, text)] for text in ("a red <b>cat</b>", "a dog")]
    told = Report(sides=(side("a<a"), side("bb")), tally=count(*sides, Truth()))
    text = render(told, opener)
    page = Page(text)
    (image,) = page.images
    assert str(image["src"]).startswith("data:image/jpeg;base64,")
    assert (image["width"], image["height"]) == ("400", "133")
    words = " ".join(page.words)
    assert "red <b>cat</b>" in words and "a<a" in words
    assert "there is no such file" in words, "what cannot be opened says why"
    assert "<mark>red &lt;b&gt;cat&lt;/b&gt;</mark>" in text
    assert not re.search(r"https?://|url\(", text), "nothing from elsewhere"


def test_a_page_without_differences(opener: Opener) -> None:
    page = Page(render(report(["a"], ["a"]), opener))
    assert "No answers differ." in " ".join(page.words)
