"""Archives and filters, with the installed program: from a shard to exported answers."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.archives import shard, tar, zipped
from tests.house import draw
from tests.program import Program

SHORT = ("--max-tokens", "4", "--unverified", "--json")
DRY = (*SHORT, "--dry-run")


@pytest.fixture
def pictures(program: Program, tmp_path: Path) -> dict[str, bytes]:
    return {f"{number:06}": draw(tmp_path / "a.bmp", number).read_bytes() for number in range(5)}


def exported(program: Program, batch: str) -> list[Any]:
    return program("export", "--format", "jsonl", "-o", "-", "--batch", batch).lines


def test_archives_are_answered_and_only_once(program: Program, pictures: dict[str, bytes]) -> None:
    here = program.folder
    shard(here / "s.tar", pictures)
    zipped(here / "p.zip", {"a b/ä#1.bmp": pictures["000001"], "../evil.bmp": b"x", "none.bmp": b"no picture"})
    cut = tar(here / "cut.tar", {f"{key}.bmp": data for key, data in pictures.items()})
    os.truncate(cut, 2500)
    args = ("run", "s.tar", "p.zip", "cut.tar", *SHORT)
    first = program(*args, code=3).json
    assert (first["done"], first["failed"]) == (5 + 1 + 2, 2 + 1)
    rows = exported(program, first["batch"])
    assert [row["custom_id"] for row in rows[:6]] == [*pictures, "a b/ä#1"]
    assert rows[1]["columns"] == {"license": "cc-by", "number": 1, "ask": "What is in picture 1?", "txt": "Text 1"}
    assert rows[1]["pictures"][0]["name"] == f"{here}/s.tar#000001.jpg"
    assert [row["error"]["code"] for row in rows if row["error"]] == [
        "forbidden_path",
        "image_unsupported",
        "image_truncated",
    ]
    told = program("export", "--format", "imagefolder", "-o", "out", "--batch", first["batch"]).err
    assert told == "8 rows in out.\n  left out: 3 items without an answer\n"
    assert (here / "out" / "s.tar" / "000003.jpg").read_bytes() == pictures["000003"]
    assert (here / "out" / "p.zip" / "a b" / "ä#1.bmp").read_bytes() == pictures["000001"]
    again = program(*args, code=3).json
    assert (again["answered_now"], again["known_before"]) == (0, 8)
    one = program("run", "s.tar#000003.jpg", f"file://{here}/p.zip#a%20b/%C3%A4%231.bmp", *SHORT).json
    assert (one["answered_now"], one["known_before"]) == (0, 2)
    assert len(program("answers", "--where", "picture=s.tar#000003.jpg", "--json").lines) == 1


def test_questions_out_of_a_shard(program: Program, pictures: dict[str, bytes]) -> None:
    shard(program.folder / "s.tar", pictures)
    batch = program("run", "s.tar", "--question-col", "ask", *SHORT).json["batch"]
    assert [row["question"] for row in exported(program, batch)] == [
        f"What is in picture {number}?" for number in range(5)
    ]


def test_what_a_person_sees(program: Program, pictures: dict[str, bytes]) -> None:
    with tarfile.open(program.folder / "s.tar.gz", "w:gz"):
        pass
    refused = program("run", "s.tar.gz", "--unverified", code=2).err
    assert "s.tar.gz is compressed as a whole" in refused and "Run `gunzip -k s.tar.gz`" in refused
    (program.folder / "page.zip").write_bytes(b"<html>")
    ended = program("run", "page.zip", "--unverified", code=3)
    assert "page.zip is neither a zip nor a tar file" in ended.out
    assert "10x" in program("run", "page.zip", "--min-size", "10x", code=2).err
    assert "--since 'soon' is neither a span nor a date" in program("run", "page.zip", "--since", "soon", code=2).err


def to_ask(program: Program, *args: str) -> int:
    rehearsed = program("run", *args, *DRY).json
    return int(rehearsed["new"]) + int(rehearsed["requeued"])


def test_filters(program: Program, pictures: dict[str, bytes]) -> None:
    here = program.folder
    (here / "in").mkdir()
    for number, data in enumerate(pictures.values()):
        (here / "in" / f"{number}.bmp").write_bytes(data + bytes(100 * number))
        os.utime(here / "in" / f"{number}.bmp", (10**9 + (number % 2) * 7 * 10**8,) * 2)
    size = (here / "in" / "2.bmp").stat().st_size
    assert to_ask(program, "in", "--min-size", str(size)) == 3
    assert to_ask(program, "in", "--max-size", str(size)) == 3
    assert to_ask(program, "in", "--since", "2020-01-01") == 2
    assert to_ask(program, "in", "--since", "24h") == 0
    (here / "list.jsonl").write_text("".join(json.dumps({"image": f"in/{n}.bmp"}) + "\n" for n in range(5)))
    named = ("--manifest", "list.jsonl")
    assert to_ask(program, *named, "--include", "[012].bmp", "--exclude", "in/1*") == 2
    assert to_ask(program, *named, "--max-size", str(size), "--limit", "2") == 2


def test_a_random_sample_is_the_same_when_run_again(program: Program, pictures: dict[str, bytes]) -> None:
    shard(program.folder / "s.tar", pictures)
    sample = ("s.tar", "--shuffle", "--limit", "2")
    batch = program("run", *sample, *SHORT).json["batch"]
    taken = [row["custom_id"] for row in exported(program, batch)]
    assert len(taken) == 2 and taken != ["000000", "000001"]
    assert to_ask(program, *sample) == 0
    assert to_ask(program, *sample, "--missing-only") == 0
    assert to_ask(program, *sample, "--force") == 2
    assert to_ask(program, *sample, "--shuffle-seed", "7") > 0
