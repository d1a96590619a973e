"""`pixmill models compare`, with the model that ships and with generated ones."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.acceptance.test_openai import data, request
from tests.house import draw, draw_many
from tests.models import make
from tests.program import Program
from tests.unit.test_comparison import Page

QUICK = ("--max-tokens", "6", "--unverified")
FOLLOW_UP = "What is the background color?"
FOLLOWED = f"""\
- {{name: there, text: "Is there an orange triangle?", max_tokens: 6}}
- {{name: color, text: "{FOLLOW_UP}", when: {{there: yes}}, max_tokens: 6}}
"""


@pytest.fixture
def program(program: Program) -> Program:
    make("llava", program.home / "models" / "other", seed=7)
    return program


def test_the_model_that_ships_with_itself_and_with_another(program: Program) -> None:
    first = program("models", "compare", "demo", "demo", "--limit", "6", "--unverified", "--json").json
    one, other = first["models"]
    assert (first["same_build"], first["compared"], first["equal"], first["pictures"]) == (True, 24, 24, 6)
    assert one["accuracy"] == other["accuracy"] >= 0.9
    assert one["answers_per_second"] > 0 and one["load_seconds"] > 0 and one["peak_memory"] > 50_000_000
    assert other["answers_per_second"] is other["load_seconds"] is other["peak_memory"] is None
    page = program.folder / "page.html"
    ended = program("models", "compare", "demo", "tiny", "--limit", "6", "--unverified", "--html", page)
    lines = ended.out.splitlines()
    assert lines[0].split() == ["demo", "tiny"]
    assert any(line.startswith("Right") and "0 of 24 (0.0%)" in line for line in lines)
    assert "demo: all answers were known before, so no speed was measured; --force asks again." in lines
    assert sum(line.startswith("0.") for line in lines) == 10 and "... and 14 more that differ" in ended.out
    read = Page(page.read_text("utf-8"))
    assert len(read.images) == 24
    assert "answers equal: 0 of 24" in read.words


def test_pictures_and_questions_of_ones_own_with_their_truth(program: Program) -> None:
    draw_many(program.folder / "in", 3)
    asked = ("models", "compare", "tiny", "other", "--images", "in", "-q", "What?", "-q", "Why?", *QUICK, "--json")
    told = program(*asked).json
    assert (told["compared"], told["pictures"], told["with_truth"]) == (6, 3, 0)
    said = told["worst"][0]
    truth = {"picture": said["pictures"][0], "question": said["question"], "answer": said["answers"][1].upper()}
    (program.folder / "truth.jsonl").write_text(json.dumps(truth), "utf-8")
    marked = program(*asked, "--gt", "truth.jsonl").json
    assert [side["correct"] for side in marked["models"]] == [0, 1]
    assert [side["known_before"] for side in marked["models"]] == [6, 6]
    forced = program(*asked, "--force").json
    assert all(side["answered_now"] == 6 and side["answers_per_second"] > 0 for side in forced["models"])


def test_what_another_batch_asked(program: Program) -> None:
    draw_many(program.folder / "in", 4)
    program("run", "in", "-q", "What?", "-s", "Be brief.", "--name", "nightly", *QUICK)
    told = program(
        "models", "compare", "tiny", "other", "--from-batch", "nightly", "--limit", "3", *QUICK[2:], "--json"
    ).json
    assert (told["compared"], told["pictures"]) == (3, 3)
    assert [side["known_before"] for side in told["models"]] == [3, 0], "the same requests, word by word"


def test_pictures_that_came_inside_of_a_row_and_the_truth_by_its_id(program: Program) -> None:
    picture = draw(program.folder / "sent.bmp", 7)
    (program.folder / "rows.jsonl").write_text(request("mine", data(picture), max_tokens=4) + "\n", "utf-8")
    picture.unlink()
    program("run", "--manifest", "rows.jsonl", "--name", "sent", "--unverified")
    (program.folder / "truth.jsonl").write_text('{"custom_id": "mine", "answer": "nothing said this"}\n', "utf-8")
    asked = ("demo", "tiny", "--from-batch", "sent", "--gt", "truth.jsonl", "--unverified", "--html", "page.html")
    told = program("models", "compare", *asked, "--json").json
    assert (told["compared"], told["equal"], told["with_truth"]) == (1, 0, 1)
    page = Page((program.folder / "page.html").read_text("utf-8"))
    assert [image["width"] for image in page.images] == ["4"]


def test_follow_up_questions_are_put_to_both_where_the_first_model_leads(program: Program) -> None:
    (program.folder / "asked.yaml").write_text(FOLLOWED, "utf-8")
    asked = ("--questions", "asked.yaml", "--limit", "6", "--unverified", "--json")
    told = program("models", "compare", "demo", "tiny", *asked).json
    followed = sum(pair["question"] == FOLLOW_UP for pair in told["worst"])
    assert 0 < followed < 6, "demo sees orange triangles in some scenes, and tiny never says yes"
    assert (told["compared"], told["not_compared"], told["equal"]) == (6 + followed, 0, 0)
    again = program("models", "compare", "demo", "tiny", *asked).json
    assert [(side["total"], side["known_before"]) for side in again["models"]] == [(6 + followed, 6 + followed)] * 2
    other = program("models", "compare", "tiny", "demo", *asked).json
    assert (other["compared"], other["not_compared"]) == (6, 0), "though demo says yes"


def test_a_name_that_stands_for_another_build_now_is_asked_again(program: Program) -> None:
    draw_many(program.folder / "in", 2)
    asked = ("models", "compare", "tiny", "other", "--images", "in", "-q", "What?", *QUICK, "--json")
    before = program(*asked).json
    newer = make("llava", program.home / "models" / "tiny", seed=11)
    program("models", "alias", "tiny", newer)
    ended = program(*asked)
    assert "An older build of tiny gave 2 of these answers: asking again." in ended.err
    after = ended.json
    assert after["models"][0]["build"] != before["models"][0]["build"]
    assert [side["answered_now"] for side in after["models"]] == [2, 0]
    said = {tuple(pair["answers"]) for pair in after["worst"]}
    assert said != {tuple(pair["answers"]) for pair in before["worst"]}


def test_ctrl_c_and_the_same_again(program: Program) -> None:
    draw_many(program.folder / "in", 200)
    command = ("models", "compare", "tiny", "other", "--images", "in", "--max-num-seqs", "2", *QUICK, "--json")
    process = program.start(*command)
    program.wait_for_answers(process, 10)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, out, "Traceback" in err) == (130, "", False)
    assert "Run the same command again to go on." in err
    told = program(*command).json
    assert told["compared"] == 200
    assert told["models"][0]["known_before"] >= 10


def test_a_persons_mistakes(program: Program, tmp_path: Path) -> None:
    (program.folder / "empty").mkdir()
    (program.folder / "bad.jsonl").write_text('{"picture": "a"}\n', "utf-8")
    for words, code, sentence in (
        (("tiny", "tinny"), 1, "There is no model 'tinny'"),
        (("tiny", "other", "--from-batch", "nope"), 1, "There is no batch 'nope'"),
        (("tiny", "other", "--from-batch", "nope", "-q", "x"), 2, "leave out --images and -q"),
        (("tiny", "other", "--images", "empty"), 2, "nothing to compare"),
        (("tiny", "other", "--gt", "bad.jsonl"), 2, "bad.jsonl has the columns 'picture'"),
    ):
        assert sentence in program("models", "compare", *words, code=code).err
