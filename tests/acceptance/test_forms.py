"""Answers with a form, the answer cache, clean captions and `pixmill try`, as a person uses them."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.house import draw_many
from tests.program import Program
from tests.unit.test_comparison import Page

QUICK = ("--max-tokens", "60", "--unverified")
SCHEMA = {
    "type": "object",
    "properties": {"color": {"enum": ["red", "blue"]}, "count": {"type": "integer", "minimum": 0, "maximum": 9}},
    "required": ["color", "count"],
}


def test_forms_from_the_command_line_to_the_export(program: Program) -> None:
    draw_many(program.folder / "in", 3)
    (program.folder / "schema.json").write_text(json.dumps(SCHEMA))
    program("run", "in", "-q", "What?", "--name", "color", "--choices", "red,re,reddest", *QUICK)
    program("run", "in", "-q", "What?", "--name", "thing", "--schema", "schema.json", *QUICK)
    colors = program("export", "-o", "-", "--batch", "color").lines
    assert {row["text"] for row in colors} <= {"red", "re", "reddest"}
    assert all(row["answer"]["parsed"] == row["text"] for row in colors)
    things = program("export", "-o", "-", "--batch", "thing").lines
    assert all(json.loads(row["text"]) == row["answer"]["parsed"] for row in things)
    assert {row["answer"]["parsed"]["color"] for row in things} <= {"red", "blue"}
    assert {row["prompt"]["form"]["kind"] for row in things} == {"schema"}


@pytest.mark.parametrize(
    ("command", "options", "sentence"),
    [
        ("run", ("--choices", "red"), "--choices: the answer form is not valid: there must be 2"),
        ("submit", ("--regex", "(a)\\1"), "it refers to a group"),
        ("try", ("--schema", "bad.json"), "this is no JSON schema: \"'nonsense' is not"),
    ],
)
def test_a_form_that_cannot_be_is_a_sentence(
    program: Program, command: str, options: tuple[str, ...], sentence: str
) -> None:
    (program.folder / "bad.json").write_text('{"type": "nonsense"}')
    assert sentence in program(command, "in", "-q", "What?", *options, code=2).err


def test_the_cache_and_a_way_around_it(program: Program) -> None:
    (first,) = draw_many(program.folder / "in", 1)
    program("run", "in", "-q", "What?", *QUICK)
    for name in "bc":
        (program.folder / f"{name}.bmp").write_bytes(first.read_bytes())
    hit = program("run", "b.bmp", "-q", "What?", *QUICK, "--json").json
    assert (hit["answered_now"], hit["cached"]) == (1, 1)
    fresh = program("run", "c.bmp", "in", "-q", "What?", *QUICK, "--no-cache", "--json").json
    assert (fresh["answered_now"], fresh["cached"], fresh["known_before"]) == (1, 0, 1)
    assert program("status", "--json").json["cached"] == 1


def test_captions_are_cleaned_in_views_and_exports_only(program: Program) -> None:
    draw_many(program.folder / "in", 1)
    program("run", "in", *QUICK)
    (raw,) = program("answers", "--json").lines
    (shown,) = program("answers", "--json", "--clean", "--start-with", "sks", "--max-words", "2").lines
    assert shown["text"].split()[0] == "sks"
    assert len(shown["text"].split()) <= 3 < len(raw["text"].split())
    assert shown["model_text"] == raw["model_text"] == raw["text"]
    (line,) = program("export", "-o", "-", "--start-with", "sks ").lines
    assert line["text"] == f"sks {raw['text']}"


def test_a_trial_shows_what_all_would_take_and_counts_for_it(program: Program) -> None:
    draw_many(program.folder / "my pictures", 30)
    asked = ("my pictures", "-q", "What's this?", "-q", "Where?", "--yes-no", *QUICK)
    told = program("try", *asked, "--sample", "4", "--json").json
    assert (told["pictures_in_all"], told["done"], len(told["answers"])) == (30, 8, 8)
    assert told["seconds_per_picture"] > 0
    assert told["seconds_for_all"] == pytest.approx(30 * told["seconds_per_picture"], rel=0.1)
    page = Page((program.folder / "pixmill-try.html").read_text("utf-8"))
    assert len(page.images) == 4
    assert all((image["src"] or "").startswith("data:image/jpeg;base64,") for image in page.images)
    assert "4 of 30" in "".join(page.words)
    command, *words = shlex.split(told["command"])
    assert command == "pixmill"
    everything = program(*words, "--json").json
    assert (everything["total"], everything["known_before"], everything["answered_now"]) == (60, 8, 52)
    again = program("try", *asked, "--sample", "4", "--html", "other.html")
    assert "--force asks again." in again.out
    assert f"  {told['command']}" in again.out.splitlines()
    assert "The page is other.html." in again.err


def test_a_trial_of_nothing(program: Program, tmp_path: Path) -> None:
    (program.folder / "empty").mkdir()
    assert "no pictures were found" in program("try", "empty", code=2).err
