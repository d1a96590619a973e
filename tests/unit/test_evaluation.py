"""Answers beside the truth: what a file tells, which item it is about, what is counted, table and page."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.evaluation import tally as tallies
from pipeline.evaluation.metrics import METRICS
from pipeline.evaluation.reading import read
from pipeline.evaluation.report import Report
from pipeline.evaluation.tally import Tally, evaluate
from pipeline.evaluation.truth import Truth, kind_of
from pipeline.jobs import State
from pipeline.settings import read_settings
from pipeline.store.rows import ItemRow, ReviewRow
from tests.house import LIMITS, draw
from tests.unit.test_comparison import Page, item
from workers.evaluation.page import render
from workers.opener import Opener

# --- what it is about ----------------------------------------------------------------------------


def told(truth: Truth, about: ItemRow) -> tuple[str, ...] | None:
    right = truth.about(about)
    return right.answers if right else None


def test_an_own_id_goes_before_picture_and_question() -> None:
    truth = Truth()
    truth.add("", "", "by id", id="7")
    truth.add("", "Why?", "by id and question", id="7")
    truth.add("0.png", "", "by picture")
    truth.add("0.png", "WHAT? ", "by picture and question")
    asked = item(0, "x")
    assert told(truth, replace(asked, custom_id="7")) == ("by id",)
    assert told(truth, replace(asked, custom_id="7", question="Why?")) == ("by id and question",)
    assert told(truth, replace(asked, custom_id="8")) == ("by picture and question",)
    assert told(truth, replace(asked, question="Where?")) == ("by picture",)
    assert told(truth, item(1, "x")) is None


def test_a_picture_is_known_by_as_much_of_its_path_as_is_told() -> None:
    truth = Truth()
    truth.add("a/1.png", "What?", "in a")
    truth.add("./b/1.png", "What?", "in b")
    truth.add("2.png", "What?", "anywhere")
    places = ("x/a/1.png", "x/b/1.png", "x/c/1.png", "x/y/2.png", "1.png", "ba/1.png")
    about = [told(truth, item(0, "x", locator=f"file:///{place}")) for place in places]
    assert about == [("in a",), ("in b",), None, ("anywhere",), None, None]


def test_a_question_goes_by_its_name_too() -> None:
    truth = Truth()
    truth.add("0.png", "kind", "outside")
    assert told(truth, replace(item(0, "x"), name="kind")) == ("outside",)
    assert told(truth, item(0, "x")) is None


def test_a_member_of_an_archive_is_found_by_its_name() -> None:
    truth = Truth()
    truth.add("cat.png", "What?", "a cat")
    assert told(truth, item(0, "x", locator="file:///a/b.zip#cat.png")) == ("a cat",)


@pytest.mark.parametrize(
    ("answers", "kind"),
    [(["Yes"], "yes/no"), (["no", "yes", "No."], "yes/no"), (["two"], "number"), (["3.5"], "number"), (["a"], "other")],
)
def test_the_kind_is_that_of_most_answers(answers: list[str], kind: str) -> None:
    assert kind_of(answers) == kind


# --- files ---------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def write(name: str, content: str | bytes | dict[str, Any]) -> Truth:
        path = tmp_path / name
        text = json.dumps(content) if isinstance(content, dict) else content
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read(str(path), read_settings())

    return write


TABLES = {
    "t.csv": "﻿custom_id,Image,question,answer,answer_type\n1,0.png,What?,Yes,\n2,,,2,count\n",
    "t.tsv": "id\tpicture\tquestion\ttruth\tkind\n1\t0.png\tWhat?\tYes\t\n2\t\t\t2\tcount\n",
    "t.jsonl": '{"id": 1, "picture": "0.png", "question": "What?", "answers": ["Yes", true]}\n\n'
    '{"key": "2", "answer": 2, "kind": "count"}\n',
    "t.json": '[{"uid": "1", "image": "0.png", "prompt": "What?", "answer": {"answer": "Yes"}},'
    ' {"uid": 2, "answer": [2], "type": "count"}]',
    "t.jsonl.gz": gzip.compress(b'{"id": "1", "answer": "[\\"Yes\\"]"}\n{"id": "2", "answer": "2", "kind": "count"}'),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables(file: Any, name: str) -> None:
    truth = file(name, TABLES[name])
    assert told(truth, replace(item(5, "x"), custom_id="1"))[0] == "Yes"
    assert told(truth, replace(item(5, "x"), custom_id="2")) == ("2",)
    assert [right.kind for right in truth.known] == ["yes/no", "count"]
    assert not truth.captions and not truth.unusable and not truth.doubled


def test_vqav2_annotations(file: Any) -> None:
    people = [{"answer": answer, "answer_confidence": "yes", "answer_id": id} for id, answer in enumerate("aab")]
    whole = {"question_id": 42, "image_id": 1, "answer_type": "other", "answers": people, "question_type": "what is"}
    truth = file("v.json", {"info": {}, "annotations": [whole, {"question_id": 43}, 5, {**whole, "answers": []}]})
    assert told(truth, replace(item(0, "x"), custom_id="42")) == ("a", "a", "b")
    assert (truth.known[0].kind, truth.unusable.count, truth.captions) == ("other", 3, False)


def test_coco_captions_come_together(file: Any) -> None:
    pictures = [{"id": 9, "file_name": "9.jpg"}, {"id": 8, "file_name": "8.jpg"}]
    said = [(9, "one"), (8, "two"), (9, "three"), (7, "four")]
    annotations = [{"image_id": id, "id": number, "caption": text} for number, (id, text) in enumerate(said)]
    truth = file("c.json", {"images": pictures, "annotations": [*annotations, {"image_id": 9}]})
    assert told(truth, item(0, "x", locator="file:///in/9.jpg")) == ("one", "three")
    assert told(truth, replace(item(0, "x"), custom_id="8")) == ("two",)
    assert (truth.captions, truth.unusable.count, len(truth.known)) == (True, 1, 3)
    assert {right.kind for right in truth.known} == {"caption"}


def test_captions_of_a_table_come_together(file: Any) -> None:
    truth = file("f.csv", "image,caption\n0.png,one\n1.png,two\n0.png,three\n")
    assert told(truth, item(0, "x")) == ("one", "three") and truth.captions


def test_numbers_from_a_column_with_gaps_are_the_same_numbers(file: Any) -> None:
    truth = file("t.jsonl", '{"id": 12.0, "answer": 3.0}\n{"id": "13.0", "answer": "a"}\n{"id": 14, "answer": NaN}')
    for id, answer in (("12", ("3",)), ("12.0", ("3",)), ("13", ("a",)), ("13.0", ("a",)), ("14", None), ("1", None)):
        assert told(truth, replace(item(0, "x"), custom_id=id)) == answer
    coco = {"images": [{"id": 9.0, "file_name": "9.jpg"}], "annotations": [{"image_id": 9.0, "caption": "one"}]}
    assert told(file("c.json", coco), item(0, "x", locator="file:///in/9.jpg")) == ("one",)


def test_truth_in_another_encoding_cannot_be_used(file: Any) -> None:
    truth = file("t.csv", "id;question;answer\n1;;größer\n2;größer?;a\n3;;a\n".encode("cp1252"))
    assert (truth.unusable.count, len(truth.known)) == (2, 1)
    assert truth.unusable.first[0].startswith("line 2: it is not UTF-8")


def test_what_cannot_be_used_is_counted_and_named(file: Any) -> None:
    lines = ['{"id": 1, "answer": "a"}', "no", "[1]", '{"id": 2}', '{"answer": "a"}', '{"id": 1, "answer": "b"}']
    truth = file("t.jsonl", "\n".join(lines))
    assert (truth.unusable.count, truth.doubled.count, truth.doubled.first) == (4, 1, ["1"])
    assert truth.unusable.first[2:] == ["line 4: it has no answer", "line 5: it has neither an id nor a picture"]
    assert told(truth, replace(item(0, "x"), custom_id="1")) == ("a",), "the first counts"
    assert truth.unusable.listed("; ").startswith("line 2: it is no JSON")


def test_of_many_the_first_are_named(file: Any) -> None:
    truth = file("t.csv", "id,answer\n1,a\n" + "".join(f"{number},\n" for number in range(2, 1203)))
    assert truth.unusable.listed().endswith("line 7: it has no answer, and 1,196 more")


def test_what_is_named_cannot_steer_a_terminal() -> None:
    truth = Truth()
    for _ in range(2):
        truth.add("", "", "a", id="\x1b[2J" + "x" * 500)
    assert truth.doubled.listed() == "\N{REPLACEMENT CHARACTER}[2J" + "x" * 115 + "…"


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (
            "t.csv",
            "picture,question\na,b\n",
            r"t.csv has the columns 'picture', 'question'. A table has a column `answer`",
        ),
        ("t.csv", "answer\nb\n", r"has the columns 'answer'"),
        ("t.csv", "", r"is empty"),
        ("t.jsonl", "x\n" * 9, r"has no columns"),
        ("t.json", "{", r"has no columns"),
        ("t.jsonl", '{"id": 1, "answer": ""}', r"no truth that can be used: line 1: it has no answer"),
        ("t.json", '{"images": [{"id": 1}], "annotations": [{"image_id": 1}]}', r"annotation 1: it has no image_id"),
        ("t.csv", b"\xff\xfe\x00\x01", r"t.csv"),
    ],
)
def test_files_without_truth(file: Any, name: str, content: str | bytes, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        file(name, content)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--gt .*nowhere.csv: no such file"):
        read(str(tmp_path / "nowhere.csv"), read_settings())


# --- the tally -----------------------------------------------------------------------------------


def truth_of(*answers: str) -> Truth:
    truth = Truth()
    for number, answer in enumerate(answers):
        truth.add(f"{number}.png", "What?", answer)
    return truth


def tally(items: Sequence[ItemRow], truth: Truth, *names: str) -> Tally:
    return evaluate(lambda: items, truth, [METRICS[name] for name in names or ("vqa", "exact", "anls")])


def test_what_failed_is_wrong_and_what_is_open_is_neither() -> None:
    waiting = replace(item(3, None), state=State.RUNNING)
    found = tally([item(0, "Yes"), item(1, "3"), item(2, None), waiting], truth_of("yes", "2", "no", "a"))
    assert (found.seen, found.open, found.all.answered, found.all.failed) == (4, 1, 2, 1)
    assert found.all.score("vqa") == pytest.approx(1 / 3)
    assert found.all.score("vqa", of_answered=True) == pytest.approx(1 / 2)
    assert {name: (kind.items, kind.score("exact")) for name, kind in found.kinds.items()} == {
        "yes/no": (2, 0.5),
        "number": (1, 0.0),
    }


def test_missing_doubled_and_foreign_ids_are_counted() -> None:
    truth = truth_of("a", "b", "c")
    truth.add("0.png", "what?", "again")
    found = tally([item(0, "a"), item(7, "x"), item(0, "a"), item(8, None)], truth)
    assert (found.without.count, found.without.first) == (2, ["7.png: What?", "8.png: What?"])
    assert (found.again.count, truth.doubled.count) == (1, 1)
    assert found.foreign.first == ["1.png: What?", "2.png: What?"]
    assert found.all.items == 2, "both of the items with the same truth"


def test_a_correction_is_what_counts_and_is_told() -> None:
    corrected = item(0, "b")
    assert corrected.answer
    review = ReviewRow(verdict="wrong", text="a", reviewer=None, created=0.0)
    corrected = replace(corrected, answer=replace(corrected.answer, text="a", review=review))
    found = tally([corrected, item(1, "b")], truth_of("a", "b"))
    assert (found.reviewed, found.all.score("exact")) == (1, 1.0)


def test_the_worst_come_first_and_only_some_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "KEPT", 3)
    said = ["invoice 12", "invoice 13", "x", "invoice 15", "y"]
    found = tally([item(number, text) for number, text in enumerate(said)], truth_of(*["invoice 12"] * 5), "anls")
    assert [case.said for case in found.worst] == ["x", "y", "invoice 13"]
    assert found.imperfect == 4


def test_captions_are_weighed_by_the_truth_about_the_items() -> None:
    said = ["a red cat sits on it", "the big dog runs away"]
    truth = truth_of(*said, "a red cat sits on it")
    found = tally([item(number, text) for number, text in enumerate(said)], truth, "cider", "cider-d")
    assert found.all.score("cider") == found.all.score("cider-d") == pytest.approx(10)
    assert found.worst == []


# --- the report ----------------------------------------------------------------------------------


def report(items: Sequence[ItemRow], truth: Truth, *names: str) -> Report:
    return Report(file="t.csv", batch="b", where=(), truth=truth, tally=tally(items, truth, *names))


def test_the_table_has_both_figures() -> None:
    made = report([item(0, "Yes"), item(1, "3"), item(2, None)], truth_of("yes", "2", "no"), "exact")
    assert made.head() == ("", "ITEMS", "FAILED", "Exact match")
    assert list(made.rows()) == [
        ("number", "1", "0", "0.0%"),
        ("yes/no", "2", "1", "50.0%"),
        ("all", "3", "1", "33.3%"),
        ("answered only", "2", "0", "50.0%"),
    ]
    assert list(made.worst(5)) == [("0.0%", "1.png", "What?", "3", "2")]
    assert "1 of them failed and count as wrong" in " ".join(made.sentences())


def test_the_document() -> None:
    truth = Truth()
    truth.add("0.png", "What?", "a", "a", "b")
    truth.add("5.png", "What?", "z")
    made = report([item(0, "c"), item(1, "x")], truth, "vqa").document()
    assert json.loads(json.dumps(made)) == {
        "truth": "t.csv",
        "batch": "b",
        "where": [],
        "items": 2,
        "open": 0,
        "reviewed": 0,
        "marked": 1,
        "answered": 1,
        "failed": 0,
        "scores": {"vqa": 0.0},
        "scores_of_answered": {"vqa": 0.0},
        "kinds": {
            "other": {
                "marked": 1,
                "answered": 1,
                "failed": 0,
                "scores": {"vqa": 0.0},
                "scores_of_answered": {"vqa": 0.0},
            }
        },
        "without_truth": {"count": 1, "first": ["1.png: What?"]},
        "truth_used_again": {"count": 0, "first": []},
        "truth_foreign": {"count": 1, "first": ["5.png: What?"]},
        "truth_doubled": {"count": 0, "first": []},
        "truth_unusable": {"count": 0, "first": []},
        "worst": [
            {
                "custom_id": None,
                "pictures": ["/pictures/0.png"],
                "question": "What?",
                "answer": "c",
                "truth": ["a", "a", "b"],
                "kind": "other",
                "scores": {"vqa": 0.0},
            }
        ],
    }


def test_a_page_with_small_copies_of_the_pictures(tmp_path: Path) -> None:
    draw(tmp_path / "0.png", 5, (900, 300))
    truth = Truth()
    truth.add("0.png", "What?", "a <b>", "a <b>", "c")
    made = report([item(0, "<i>x", locator=f"file://{tmp_path}/0.png"), item(1, None)], truth)
    with Opener(LIMITS) as opener:
        page = Page(render(made, opener))
    assert [image["width"] for image in page.images] == ["400"]
    words = " ".join(page.words)
    assert "<i>x" in words and "truth: a <b> (2) | c" in words and "1 of 1 that are not all right" in words
