"""Files of questions, asked by the installed program of the model that ships, about scenes whose truth is known."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.house import draw_many
from tests.program import Program
from workers.demo.exercises import exercises
from workers.demo.folder import Folder

SCENES = 12
ASKED = """
max_tokens: 24
questions:
  - name: words
    text: What does the text say?
    when: {text: yes}
  - name: text
    text: Do you see text?
    form: yes_no
  - name: circle
    text: Is there a circle?
    form: yes_no
  - name: color
    text: What color is the circle?
    when: {circle: yes}
  - name: sure
    text: Is there a circle?
    when: {circle: yes, text: no, color: {contains: [red, blue, green, black]}}
"""


@pytest.fixture
def scenes(program: Program) -> Program:
    """The program with scenes in `pictures`."""
    Folder.at(program.folder / "scenes").draw(list(exercises(7, SCENES)))
    (program.folder / "asked.yaml").write_text(ASKED, "utf-8")
    return program


def run(program: Program, *options: str, code: int | None = 0) -> Any:
    asked = ("-m", "demo", "--questions", "asked.yaml", "--unverified", "--json")
    return program("run", "scenes/pictures", *asked, *options, code=code).json


def rows(program: Program, batch: str) -> Iterator[Mapping[str, Mapping[str, Any]]]:
    """The items of each picture by the question's name."""
    found: dict[int, dict[str, Any]] = {}
    for item in program("export", "--format", "jsonl", "-o", "-", "--batch", batch).lines:
        found.setdefault(item["row"], {})[item["name"]] = item
    yield from found.values()


def check(program: Program, batch: str) -> None:
    """Each follow-up is there where the answers before it want it, and nowhere else."""
    seen = 0
    for row in rows(program, batch):
        said = {name: item["text"] for name, item in row.items()}
        assert {said["text"], said["circle"]} <= {"yes", "no"}
        colors = said["circle"] == "yes" and any(c in said["color"] for c in ("red", "blue", "green", "black"))
        wanted = {"words": said["text"] == "yes", "color": said["circle"] == "yes"}
        wanted["sure"] = colors and said["text"] == "no"
        assert said.keys() == {"text", "circle", *(name for name, asked in wanted.items() if asked)}
        seen += sum(wanted.values())
    assert seen > SCENES / 4


def test_questions_follow_from_answers(scenes: Program) -> None:
    assert run(scenes, "--dry-run")["waiting"] == 3 * SCENES
    outcome = run(scenes, "--name", "mine")
    assert (outcome["state"], outcome["failed"], outcome["cancelled"]) == ("completed", 0, 0)
    check(scenes, "mine")
    again = run(scenes, "--name", "mine")
    assert (again["answered_now"], again["known_before"]) == (0, outcome["done"])
    assert run(scenes, "--dry-run")["waiting"] == 0
    forced = run(scenes, "--force", "--limit", "8")
    assert forced["answered_now"] == forced["total"] > 16
    first = [row.keys() for row in rows(scenes, "mine")][:8]
    assert [row.keys() for row in rows(scenes, forced["batch"])] == first


def test_killed_at_any_moment_no_follow_up_is_lost(scenes: Program) -> None:
    asked = ("-m", "demo", "--questions", "asked.yaml", "--unverified", "--name", "mine", "--max-num-seqs", "2")
    for answers in (3, 20):
        process = scenes.start("run", "scenes/pictures", *asked)
        scenes.wait_for_answers(process, answers)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert run(scenes, "--name", "mine")["state"] == "completed"
    check(scenes, "mine")


def test_sets_are_listed_shown_and_asked(program: Program) -> None:
    draw_many(program.folder / "in", 2)
    names = [line["name"] for line in program("prompts", "ls", "--json").lines]
    assert {"caption", "ocr"} <= set(names)
    assert program("prompts", "ls").out.startswith("SET ")
    shown = program("prompts", "show", "tags")
    (program.folder / "mine.yaml").write_text(shown.out, "utf-8")
    assert program("prompts", "show", "mine.yaml", "--json").json == program("prompts", "show", "tags", "--json").json
    outcome = program("run", "in", "--questions", "tags", "--max-tokens", "4", "--unverified", "--json").json
    assert outcome["total"] == 2
    (program.folder / "same.json").write_text(json.dumps(program("prompts", "show", "tags", "--json").json), "utf-8")
    same = program("run", "in", "--questions", "same.json", "--max-tokens", "4", "--unverified", "--json").json
    assert same["known_before"] == 2


def test_templates_are_filled_in_by_each_row(program: Program) -> None:
    draw_many(program.folder / "cats", 1)
    (program.folder / "rows.csv").write_text("image,breed\ncats/00000.bmp,tabby\ncats/00000.bmp,\n", "utf-8")
    asked = ("-t", "Is {stem} of {directory} a {breed}?", "--max-tokens", "4", "--unverified", "--json")
    outcome = program("run", "--manifest", "rows.csv", *asked).json
    questions = [
        i["question"] for i in program("export", "--batch", outcome["batch"], "--format", "jsonl", "-o", "-").lines
    ]
    assert questions == ["Is 00000 of cats a tabby?", "Is 00000 of cats a ?"]


def test_what_cannot_be_asked_is_said_before_anything_happens(program: Program, tmp_path: Path) -> None:
    draw_many(program.folder / "in", 1)
    (program.folder / "q.yaml").write_text("- {name: a, text: b, when: {c: d}}", "utf-8")
    for options, said in (
        (("--questions", "q.yaml"), "question 'a': `when` names 'c', and no question is called so"),
        (("--questions", "tagz"), "nor a set of that name. Did you mean 'tags'?"),
        (("-t", "{price}?"), "Columns come with --manifest"),
        (("-t", "{name?"), "stands alone"),
    ):
        assert said in program("run", "in", *options, code=2).err
    assert program("batch", "ls", "--json").lines == []
