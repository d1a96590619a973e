"""Reviews and searches with the installed program: a tiny model answers, a person corrects."""

from __future__ import annotations

import csv
from typing import Any

from tests.acceptance.test_run import SHORT
from tests.house import draw
from tests.program import Program


def rows(program: Program, *words: str) -> list[Any]:
    return program("answers", "--limit", "0", "--json", *words).lines


def test_answers_are_reviewed_found_and_run_again(program: Program) -> None:
    """Three pictures, of which two are the same: their answer is one, from the cache the second time."""
    folder = program.folder / "in"
    folder.mkdir()
    draw(folder / "a.bmp", 1)
    draw(folder / "b.bmp", 2)
    program("run", "in", "--name", "some", *SHORT)
    draw(folder / "twin.bmp", 1)
    program("run", "in", "--name", "more", *SHORT)
    a, b, twin = sorted(rows(program), key=lambda row: row["pictures"][0]["name"])
    assert twin["cached_from"] == a["id"]

    said = program("review", "set", str(twin["job"]), "--text", "Ein Fuchs, très rusé: 狐狸", "--by", "ann")
    assert said.out == f"Answer {twin['id']} reads now: Ein Fuchs, très rusé: 狐狸\n"
    for words in ("fuchs", "RUSE tres", '"ein fuchs"', "fu*", "狐", 'fuchs OR "'):
        found = {row["job"] for row in rows(program, words)}
        assert found == (set() if "OR" in words else {a["job"], twin["job"]}), words
    assert rows(program, "fuchs", "--batch", "some", "--where", "verdict=corrected", "-m", "tiny")[0]["id"] == a["id"]
    assert "no word in '?!'" in program("answers", "?!").err

    program("review", "set", "--answer", str(b["id"]), "--wrong")
    assert "already" in program("review", "set", str(b["job"]), "--wrong").out
    again = program("batch", "rerun", "some", "--where", "verdict=wrong", "--fresh", "--yes")
    assert again.out == "1 job is queued again.\n"
    program("run", "in", "--name", "some", *SHORT)
    assert len(rows(program, "--history")) == 4

    text = program("answers", "--history", str(a["job"])).out
    assert "corrected by ann" in text
    assert f"the model said: {a['text']}"[:20] in text
    (told,) = program("answers", "--history", str(a["job"]), "--json").lines
    assert (told["current"], told["answer"]["id"], told["reviews"][0]["reviewer"]) == (True, a["id"], "ann")


def test_a_table_goes_out_and_comes_back(program: Program) -> None:
    folder = program.folder / "in"
    folder.mkdir()
    for number in range(3):
        draw(folder / f"{number}.bmp", number)
    program("run", "in", *SHORT)
    program("review", "export", "-o", "look.csv")
    path = program.folder / "look.csv"
    with path.open(newline="", encoding="utf-8-sig") as file:
        (head, *lines) = csv.reader(file)
    lines[0][head.index("text")] = "a red ball"
    lines[1][head.index("verdict")] = "right"
    lines[2][head.index("verdict")] = "who knows"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, *lines])
    first = program("review", "import", "look.csv", "--by", "bob", code=1)
    assert first.out == "2 reviews stored, 1 that cannot be used.\n"
    assert first.err == "line 4: the verdict 'who knows' is none of right, wrong, corrected\n"
    assert program("review", "import", "look.csv", code=1).out == (
        "0 reviews stored, 2 known already, 1 that cannot be used.\n"
    )
    assert [row["text"] for row in rows(program, "red ball")] == ["a red ball"]
    assert program("export", "-o", "-").out.count("a red ball") >= 1


def test_what_cannot_be_reviewed_is_a_sentence(program: Program) -> None:
    assert "There is no job 7" in program("review", "set", "7", "--right", code=1).err
    assert "no answer 7" in program("review", "set", "--answer", "7", "--right", code=1).err
    assert "Give one of" in program("review", "set", "7", code=2).err
    assert "Give one of" in program("review", "set", "7", "--right", "--wrong", code=2).err
    assert "Which answer?" in program("review", "set", "--wrong", code=2).err
    assert "no such file" in program("review", "import", "gone.csv", code=2).err
    assert "verdict" in program("answers", "--where", "colour=red", code=2).err
