"""Manifests, from a file of rows to answers that carry their ids and columns."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

from tests.house import draw_many
from tests.program import Program

SHORT = ("--max-tokens", "4", "--unverified")
HEAD = "nr,file_name,question,also,shop"


def manifest(program: Program, *lines: str) -> Path:
    """A compressed manifest beside its pictures."""
    path = program.folder / "shop" / "rows.csv.gz"
    if not path.exists():
        draw_many(path.parent, 4)
    path.write_bytes(gzip.compress("\n".join([HEAD, *lines, ""]).encode()))
    return path


def test_rows_are_answered_with_their_ids_and_columns_and_a_grown_manifest_only_adds(program: Program) -> None:
    rows = ["a-1,00000.bmp,What?,Where?,Oslo", "a-2,00001.bmp", "a-3,00002.bmp,Who?,,Rome"]
    path = manifest(program, *rows)
    command = ("run", "--manifest", str(path), "--id-col", "nr", "--question-col", "question", "--question-col", "also")
    command = (*command, "--name", "mine", "--json", *SHORT)

    rehearsed = program(*command, "--dry-run")
    assert rehearsed.json["new"] == 3
    assert rehearsed.json["errors"] == ["line 3: it has 2 cells, the first line names 5 columns"]
    assert (rehearsed.json["answers_per_second"], rehearsed.json["seconds"]) == (None, None)
    assert "Columns: image 'file_name'; one other passes through." in rehearsed.err

    first = program(*command, code=3).json
    assert (first["total"], first["answered_now"], first["failed"]) == (4, 3, 1)
    found = program("export", "--format", "jsonl", "-o", "-", "--batch", "mine").lines
    assert [(item["custom_id"], item["question"], item["columns"]) for item in found] == [
        ("a-1", "What?", {"shop": "Oslo"}),
        ("a-1", "Where?", {"shop": "Oslo"}),
        (None, None, None),
        ("a-3", "Who?", {"shop": "Rome"}),
    ]
    assert found[2]["error"]["code"] == "row_invalid"

    manifest(program, *rows, "a-4,00003.bmp,What?,,Bonn")
    again = program(*command, code=3).json
    assert (again["answered_now"], again["known_before"], again["failed"]) == (1, 3, 1)

    told = program(*command[:-4], *SHORT, "--dry-run").out
    assert told.splitlines()[0] == "1 that cannot be asked about; 4 known already."
    more = program("run", "--manifest", str(path), "-q", "New?", *SHORT, "--dry-run").out
    assert "as measured on the last 4 answers of this model." in more


def test_a_manifest_from_standard_input_and_one_that_names_no_pictures(program: Program) -> None:
    draw_many(program.folder, 2)
    lines = "".join(json.dumps({"image": f"0000{n}.bmp", "prompt": "What?"}) + "\n" for n in range(2))
    outcome = program("run", "--manifest", "-", "--json", *SHORT, input=lines).json
    assert (outcome["done"], outcome["total"]) == (2, 2)
    refused = program("run", "--manifest", "-", *SHORT, input="colour,shape\nred,round\n", code=2)
    assert "say which with --image-col. It has 'colour', 'shape'." in refused.err
    both = program("run", ".", "--manifest", "-", *SHORT, code=2)
    assert "name no others beside it" in both.err
    assert "--id-col is about a --manifest" in program("run", ".", "--id-col", "x", *SHORT, code=2).err


def test_results_do_not_take_the_place_of_what_they_are_about(program: Program) -> None:
    draw_many(program.folder, 1)
    for name, options, content in (
        ("rows.csv", ("--manifest",), "image\n00000.bmp\n"),
        ("names.csv", ("--from-file",), "00000.bmp\n"),
    ):
        path = program.folder / name
        path.write_text(content)
        refused = program("run", *options, str(path), "-o", f"./{name}", *SHORT, code=2)
        assert f"The results would replace ./{name}, which {options[0]} reads" in refused.err
        assert path.read_text() == content


def test_a_large_manifest_says_and_asks_what_a_small_one_does(program: Program) -> None:
    """So large that a process of its own reads it."""
    away = replace(program, environment={**program.environment, "PIXMILL_BROKER_URL": "redis://localhost:1/0"})
    draw_many(program.folder, 1)
    path = program.folder / "large.csv"
    rows = [f"{n},00000.bmp,What {n % 7}?,{'x' * 5_000}\n" for n in range(1_000)]
    path.write_text("id,image,question,comment\n" + "".join(rows))
    left_out = away("submit", "--manifest", str(path), "--min-size", "1G", "--json")
    assert "--min-size, --max-size or --since left out all that was found (1,000)" in left_out.err
    path.write_text("id,image,question,comment\n" + "".join([*rows, "1000,,What?,none\n"]))
    for new in (7, 0):
        added = away("submit", "--manifest", str(path), "--name", "large", "--json").json
        assert (added["new"], added["linked_pending"], added["invalid"]) == (new, 1_000 - new, 1)
    (row,) = away("failed", "ls", "--batch", "large", "--json").lines
    assert "line 1,002: the row cannot be used" in row["error"]


def test_several_pictures_at_once_are_refused_where_the_model_takes_one(program: Program) -> None:
    path = program.folder / "pairs.jsonl"
    path.write_text('{"pair": ["a.bmp", "b.bmp"], "question": "Which?"}\n')
    refused = program("run", "--manifest", str(path), "--images-col", "pair", *SHORT, code=2)
    assert "--images-col: this model takes one picture at a time" in refused.err
    guessed = program.folder / "guessed.jsonl"
    guessed.write_text('{"images": ["a.bmp", "b.bmp"], "question": "Which?"}\n')
    told = program("run", "--manifest", str(guessed), "--dry-run", *SHORT).out
    assert "line 1: the row cannot be used: it asks about 2 pictures at once, and this model takes one" in told
