"""The marks of a demo and what is told of them: table, figures, page and contact sheet."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline.jobs import BatchState, State
from pipeline.store.rows import AnswerRow, ItemRow, RuntimeRow
from pipeline.store.values import Added, Counts, OpenBatch
from tests.rows import BUILD, PROMPT
from workers.demo import page, sheet
from workers.demo.exercises import Exercise, exercises
from workers.demo.folder import Folder
from workers.demo.marking import Card, Mark, Score, by_kind, cards, origins, score
from workers.demo.report import NOT_RIGHT_SHOWN, PICTURES_SHOWN, Report
from workers.demo.sheet import CELL, COLUMNS, GAP, MOST
from workers.engine.client import Figures
from workers.session import Outcome

RUNTIME = RuntimeRow(
    engine="batching", device="CPU", device_name="A & B", versions={"openvino_genai": "2026.4"}, options={}
)


def answer(text: str) -> AnswerRow:
    zero: dict[str, Any] = dict.fromkeys(("queue_s", "read_s", "vision_s", "first_token_s", "total_s", "created"), 0.0)
    none = dict.fromkeys(("review", "parsed", "worker", "logprob", "seed", "cached_from"))
    counts = dict.fromkeys(("id", "job", "prompt_tokens", "answer_tokens"), 1)
    texts = {"question": "", "text": text, "model_text": text, "model": "demo", "finish_reason": "stop"}
    return AnswerRow(pictures=(), prompt=PROMPT, build=BUILD, runtime=RUNTIME, **texts, **zero, **none, **counts)


def item(row: int, ask: int, text: str | None, error: str | None = None) -> ItemRow:
    none: dict[str, Any] = dict.fromkeys(("batch", "custom_id", "columns", "job", "updated", "model", "prompt"))
    state = State.DONE if text is not None else State.FAILED if error else State.QUEUED
    return ItemRow(
        row=row,
        ask=ask,
        state=state,
        error_code="image_too_large" if error else None,
        error=error,
        attempts=0,
        pictures=(),
        question="",
        answer=None if text is None else answer(text),
        **none,
    )


Say = Callable[[int, int, str], str | None]


def marked(tests: list[Exercise], say: Say) -> tuple[Card, ...]:
    """The cards when `say(row, ask, truth)` is what the model says."""
    items = [
        item(row, ask, say(row, ask, question.answer))
        for row, test in enumerate(tests)
        for ask, question in enumerate(test.questions)
    ]
    return tuple(cards(tests, items))


def all_right(row: int, ask: int, truth: str) -> str:
    return truth


def report(folder: Path, say: Say = all_right, scenes: int = 8, **changes: Any) -> Report:
    found = marked(list(exercises(1, scenes)), say)
    outcome = Outcome(
        batch=OpenBatch(1, "demo-1"),
        state=BatchState.COMPLETED,
        counts=Counts(total=4 * scenes, done=4 * scenes),
        added=Added(new=4 * scenes),
        cached=0,
        seconds=4.0,
        engine=Figures(load_s=1.0),
        interrupted=False,
        all_seen=True,
    )
    folder_ = Folder(folder)
    return Report(
        folder=folder_, cards=found, outcome=replace(outcome, **changes), origins=tuple(origins([answer("x")]))
    )


# --- marks ---------------------------------------------------------------------------------------


def test_each_way_a_question_can_end() -> None:
    (test,) = exercises(1, 1)
    truth = test.questions[1].answer
    items = [item(0, 0, f"{test.questions[0].answer} "), item(0, 1, truth), item(0, 2, None, "no room")]
    (card,) = cards([test], items)
    assert [one.mark for one in card.marked] == [Mark.WRONG, Mark.RIGHT, Mark.FAILED, Mark.OPEN]
    assert [one.said for one in card.marked[1:]] == [truth, "no room", "not asked yet"]
    assert score(card.marked) == Score(asked=4, answered=2, right=1)


def test_a_score_without_answers_has_no_share() -> None:
    assert score([]).share is None
    assert str(Score(2, 0, 0)) == "0 of 0"
    assert str(Score(1200, 1100, 1089)) == "1,089 of 1,100 (99.0%)"


def test_the_weakest_kind_comes_first() -> None:
    tests = list(exercises(1, 12))
    found = by_kind(marked(tests, lambda row, ask, truth: truth if tests[row].questions[ask].kind != "size" else "?"))
    assert next(iter(found)) == "size" and found["size"].right == 0
    assert {score.share for kind, score in found.items() if kind != "size"} == {1.0}
    assert "caption" not in found


# --- the report ------------------------------------------------------------------------------------


def test_the_document_counts_captions_apart(tmp_path: Path) -> None:
    told = report(tmp_path, lambda row, ask, truth: "?" if (row, ask) in ((0, 0), (1, 1), (2, 1)) else truth).document()
    assert {key: told[key] for key in ("pictures", "questions", "correct", "accuracy")} == {
        "pictures": 8,
        "questions": 24,
        "correct": 22,
        "accuracy": 0.9167,
    }
    assert (told["captions"], told["captions_correct"], told["captions_accuracy"]) == (8, 7, 0.875)
    assert (told["seconds"], told["answers_per_second"], told["pictures_per_second"]) == (4.0, 8.0, 2.0)
    assert told["answered_by"] == [
        {
            "model": "demo",
            "precision": "int4",
            "build": "abababababab",
            "device": "CPU",
            "device_name": "A & B",
            "openvino": "2026.4",
        }
    ]


def test_nothing_asked_now_is_no_rate(tmp_path: Path) -> None:
    told = report(tmp_path, added=Added(linked_done=32))
    assert told.pictures_per_second is None
    assert not any("pictures/s" in line for line in told.figures())


def test_what_the_cache_answered_is_told(tmp_path: Path) -> None:
    told = report(tmp_path, cached=12)
    assert any("12 of them from the cache" in line for line in told.figures())
    assert "answers from the cache" in page.render(told)
    assert "from the cache" not in page.render(report(tmp_path))


def test_the_table_shows_the_first_pictures_and_what_is_not_right(tmp_path: Path) -> None:
    told = report(tmp_path, lambda row, ask, truth: "?" if row >= PICTURES_SHOWN else truth, scenes=20)
    rows = list(told.rows())
    assert len(rows) == 4 * PICTURES_SHOWN + NOT_RIGHT_SHOWN
    assert {row[-1] for row in rows[: 4 * PICTURES_SHOWN]} == {"right"}
    assert {row[-1] for row in rows[4 * PICTURES_SHOWN :]} == {"wrong"}
    assert told.left_out() == 80 - len(rows)


def test_a_row_fits_a_line(tmp_path: Path) -> None:
    texts = [text for row in report(tmp_path, scenes=20).rows() for text in row]
    assert max(map(len, texts)) < 50
    assert any(text.endswith("…") for text in texts)


# --- the page ----------------------------------------------------------------------------------------


class Links(HTMLParser):
    """What a page loads or leads to, its texts, and whether its elements are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.open: list[str] = []
        self.texts = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [str(value) for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts += data


def test_the_page_shows_each_picture_and_needs_nothing_else(tmp_path: Path) -> None:
    told = report(tmp_path)
    text = page.render(told)
    read = Links(text)
    assert read.open == []
    assert set(read.links) == {f"pictures/{card.exercise.name}" for card in told.cards}
    assert "http" not in text and "url(" not in text and "@import" not in text
    for card in told.cards:
        for one in card.marked:
            assert one.question.answer in read.texts
        assert all(one.question.text in read.texts for one in card.questions)
    assert "24 of 24" in read.texts and "abababababab" in read.texts and "A & B" in read.texts


def test_what_a_model_says_is_only_text(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script> & \"'"
    text = page.render(report(tmp_path, lambda row, ask, truth: evil))
    assert "<script" not in text
    assert evil in Links(text).texts


def test_the_page_says_what_is_missing(tmp_path: Path) -> None:
    counts = Counts(total=32, done=29, failed=1, queued=2)
    told = report(tmp_path, lambda row, ask, truth: None if row == 7 else truth, counts=counts)
    assert "1 failed: pixmill failed ls --batch demo-1" in (text := page.render(told))
    assert "2 are not asked yet: run the same command again" in text
    assert len(re.findall(r'class="card all-right"', text)) == 7


# --- the contact sheet ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("scenes", "shown"), [(5, 5), (MOST + 3, MOST)])
def test_the_sheet_has_a_row_for_each_four_pictures(tmp_path: Path, scenes: int, shown: int) -> None:
    with Image.open(io.BytesIO(sheet.render(report(tmp_path, scenes=scenes)))) as picture:
        assert picture.format == "PNG"
        rows = -(-shown // COLUMNS)
        assert picture.height == sheet.TOP + rows * (CELL[1] + GAP) - GAP + sheet.MARGIN


def test_the_sheet_draws_marks_in_their_colours(tmp_path: Path) -> None:
    def colours(say: Say) -> set[Any]:
        with Image.open(io.BytesIO(sheet.render(report(tmp_path, say, scenes=1)))) as picture:
            found = picture.crop((0, sheet.TOP + sheet.ROOM[1] + 1, picture.width, picture.height)).getcolors(1 << 24)
            return {colour for _, colour in found or []}

    assert sheet.COLORS[Mark.RIGHT] in colours(all_right)
    assert sheet.COLORS[Mark.WRONG] not in colours(all_right)
    assert sheet.COLORS[Mark.WRONG] in colours(lambda row, ask, truth: "?" if ask else truth)
    assert sheet.COLORS[Mark.OPEN] in colours(lambda row, ask, truth: None)


def test_a_long_answer_stays_in_its_cell() -> None:
    font = sheet._font(15)
    lines = sheet._wrapped("many words " * 60, font, 280, 4)
    assert len(lines) == 4 and lines[-1].endswith("...")
    assert max(map(font.getlength, [*lines, sheet._fitting("x" * 500, font, 280)])) <= 280
