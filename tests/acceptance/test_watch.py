"""`pixmill watch`, the installed program with the model that comes with it."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.house import draw
from tests.program import Program

DEMO = ("-m", "demo", "-q", "Which shapes are there?", "--unverified", "--stable-for", "0.2")


@pytest.fixture
def bare(tmp_path: Path) -> Program:
    folder = tmp_path / "here"
    (folder / "in").mkdir(parents=True)
    return Program(tmp_path / "home", folder)


def events(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout
    return map(json.loads, process.stdout)


def test_a_drop_is_answered_moved_and_explained(bare: Program) -> None:
    fates = ("--on-success", "move done", "--on-failure", "move bad", "--sidecar", "txt", "--tags")
    process = bare.start("watch", "run", "in", *DEMO, *fates, "--json")
    said = events(process)
    next(line for line in said if line["event"] == "watching")
    (bare.folder / "in" / "red").mkdir()
    draw(bare.folder / "in" / "red" / "a.bmp", 1, (64, 64))
    (bare.folder / "in" / "b.bmp").write_bytes(b"no picture")
    ends: dict[str, dict[str, Any]] = {}
    while not {"answered", "failed"} <= ends.keys():
        line = next(said)
        if "b.bmp" not in line.get("path", "") or line["event"] == "failed":
            ends[line["event"]] = line
    (listed,) = bare("watch", "ls", "--json").lines
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 0
    assert (listed["name"], listed["running"], listed["files"]) == ("in", True, {"done": 1, "failed": 1})
    assert ends["failed"]["code"] == "image_unsupported"
    (row,) = bare("export", "--format", "jsonl", "-o", "-", "--batch", ends["taken"]["batch"]).lines
    assert row["text"] == ends["answered"]["answers"][0]["text"]
    assert row["columns"] == {"tags": ["red"]}
    assert (bare.folder / "done" / "red" / "a.txt").read_text() == row["text"] + "\n"
    assert (bare.folder / "done" / "red" / "a.bmp").exists()
    assert (bare.folder / "bad" / "b.bmp.error.json").exists()
    explained = bare("watch", "explain", "in/red/a.bmp")
    assert "in: done. It was answered and moved to" in explained.out


def test_a_single_round(bare: Program) -> None:
    draw(bare.folder / "in" / "a.bmp", 1, (64, 64))
    (bare.folder / "in" / "b.bmp").write_bytes(b"no picture")
    ended = bare("watch", "run", "in", *DEMO, "--oneshot", code=3)
    assert "a.bmp: " in ended.err and "b.bmp: " in ended.err and not ended.out
    assert (bare.folder / "in" / "b.bmp.error.json").exists()
    again = bare("watch", "run", "in", *DEMO, "--oneshot", "--json").lines
    assert {line["event"] for line in again} == {"watching"}
    other = bare("watch", "run", "in", *DEMO, "-q", "How many?", "--oneshot", "--json").lines
    assert [line["event"] for line in other] == ["note", "watching"]
    assert "'in' asked other questions until now" in other[0]["text"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("file.bmp",), "file.bmp is a file"),
        (("in", "in/sub"), "lies inside of"),
        (("in", "--on-success", "burn"), "it is one of keep, 'move DIR', delete"),
        (("in", "--on-success", "move in"), "files cannot be moved to"),
        (("in", "--on-failure", "delete"), "it is one of keep, 'move DIR'"),
        (("in", "-t", "What is {this}?"), "this"),
    ],
)
def test_what_cannot_be_watched(bare: Program, words: tuple[str, ...], why: str) -> None:
    draw(bare.folder / "file.bmp", 1)
    (bare.folder / "in" / "sub").mkdir()
    assert why in bare("watch", "run", *words, "-m", "demo", code=2).err
    assert bare("watch", "ls", "--json").lines == []


def test_ctrl_c_and_a_folder_of_another_watch(bare: Program) -> None:
    process = bare.start("watch", "run", "in", *DEMO, "--name", "first", "--json")
    next(line for line in events(process) if line["event"] == "watching")
    refused = bare("watch", "run", "in", *DEMO, "--name", "second", code=2)
    assert "which the watch 'first' looks after now" in refused.err
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130


def test_workers_answer_what_a_watch_asks(online: Program) -> None:
    folder = online.folder / "in"
    folder.mkdir()
    draw(folder / "a.bmp", 1)
    worker = online.start("worker", "run", "--unverified")
    watch = online.start("watch", "run", "in", "--max-tokens", "4", "--stable-for", "0.1", "--json")
    answered = next(line for line in events(watch) if line["event"] == "answered")
    for process in (watch, worker):
        process.send_signal(signal.SIGTERM)
        process.communicate()
        assert process.returncode == 0
    (row,) = online("answers", "--json").lines
    assert (row["text"], row["model"]) == (answered["answers"][0]["text"], "tiny")
