"""Files that grow: what an earlier run left stays, is cut or goes, and nothing stands twice."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from pipeline.errors import OutputForeign, OutputTaken, SetupError, UsageError
from pipeline.export.growing import growing


def answer(name: str) -> str:
    return json.dumps({"id": f"batch_req_{name}", "custom_id": name, "response": {}, "error": None}) + "\n"


def error(name: str) -> str:
    return json.dumps({"id": f"batch_req_{name}", "custom_id": name, "response": None, "error": {"code": "x"}}) + "\n"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def write(out: Path, *lines: str) -> int:
    with growing(str(out)) as file:
        for line in lines:
            file.write(line)
    return file.written


def test_a_file_that_is_not_there_is_made(out: Path) -> None:
    assert write(out, answer("a"), error("b")) == 2
    assert out.read_text() == answer("a") + error("b")


def test_lines_are_there_as_soon_as_they_are_flushed(out: Path) -> None:
    with growing(str(out)) as file:
        file.write(answer("a"))
        file.flush()
        assert out.read_text() == answer("a")


def test_answers_that_stand_there_are_not_written_twice(out: Path) -> None:
    write(out, answer("a"), answer("b"))
    assert write(out, answer("b"), answer("c"), answer("a")) == 1
    assert out.read_text() == answer("a") + answer("b") + answer("c")


@pytest.mark.parametrize("cut", [1, 5, 15, 30, len(answer("b")) - 1])
def test_a_torn_last_line_is_cut_off(out: Path, cut: int) -> None:
    out.write_text(answer("a") + answer("b")[:cut])
    assert write(out, answer("a"), answer("b")) == 1
    assert out.read_text() == answer("a") + answer("b")


def test_errors_of_an_earlier_run_go_since_what_failed_is_asked_again(out: Path) -> None:
    out.write_text(error("a") + answer("b") + error("c"))
    assert write(out, answer("a"), error("c")) == 2
    assert out.read_text() == answer("b") + answer("a") + error("c")
    assert os.listdir(out.parent) == [out.name]


def test_answers_to_what_was_asked_another_time_go_when_all_is_there(out: Path) -> None:
    out.write_text(answer("old") + answer("a"))
    with growing(str(out)) as file:
        file.write(answer("a"))
        file.write(answer("b"))
        assert "old" in out.read_text()
        file.drop_strangers()
    assert out.read_text() == answer("a") + answer("b")
    assert os.listdir(out.parent) == [out.name]


@pytest.mark.parametrize(
    "foreign",
    [
        "my notes",
        "my notes\n",
        "{}\n",
        '{"id": 3}\n',
        "[]\n",
        '{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {}}\n',
        '{"custom_id": "a", "method": "POST"}',
        answer("a") + "more",
        answer("a") + "\n" + answer("b"),
        '{"id": "vllm-1", "custom_id": "a", "response": {}, "error": null}\n',
    ],
)
def test_what_is_not_ours_is_refused_and_stays_as_it_is(out: Path, foreign: str) -> None:
    out.write_text(foreign)
    with pytest.raises(OutputForeign, match="Name another file"):
        write(out, answer("a"))
    assert out.read_text() == foreign


def test_two_programs_do_not_write_one_file(out: Path) -> None:
    out.write_text(error("a"))
    with growing(str(out)) as file, pytest.raises(OutputTaken):
        file.write(answer("a"))
        write(out, answer("b"))
    assert out.read_text() == answer("a")


def test_a_pipe_is_written_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write(pipe, answer("a"))
    reader.join()
    assert read == [answer("a")]


def test_stdout(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    with growing("-") as file:
        file.write(answer("a"))
        file.flush()
    assert capsysbinary.readouterr().out == answer("a").encode()


def test_a_link_stays_a_link(tmp_path: Path, out: Path) -> None:
    (tmp_path / "real").write_text(error("a"))
    out.symlink_to("real")
    write(out, answer("b"))
    assert out.is_symlink() and (tmp_path / "real").read_text() == answer("b")


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        write(tmp_path)
    with pytest.raises(SetupError, match="cannot be written"):
        write(tmp_path / "nowhere" / "out")
