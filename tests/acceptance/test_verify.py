"""`pixmill models verify`, and that commands verify a build before they trust it."""

from __future__ import annotations

import signal
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.house import draw
from tests.program import Program

CHECKING = "Checking that tiny works on CPU, once."


@pytest.fixture
def asking(program: Program) -> Program:
    draw(program.folder / "a.bmp", 1)
    return program


def blind(program: Program) -> None:
    """The model's vision part loses its weights, as half a download would have it: it loads, and answers."""
    part = program.home / "models" / "tiny" / "openvino_vision_embeddings_model"
    weights = bytearray(part.with_suffix(".bin").read_bytes())
    for data in ElementTree.parse(part.with_suffix(".xml")).iter("data"):
        if data.get("element_type") == "f32" and int(data.get("size", "0")) > 1000:
            start, size = int(data.get("offset", "0")), int(data.get("size", "0"))
            weights[start : start + size] = bytes(size)
    part.with_suffix(".bin").write_bytes(weights)


def test_verified_by_hand_shown_and_not_again(asking: Program) -> None:
    told = asking("models", "verify", "tiny", "--json").json
    assert (told["model"], told["device"], told["answers"]) == ("tiny", "CPU", 3)
    assert told["peak_memory"] > 50_000_000
    (line,) = (line for line in asking("models", "show", "tiny").out.splitlines() if line.startswith("Verified"))
    assert line.startswith("Verified  on CPU 20") and "loads in" in line
    (row,) = asking("models", "show", "tiny", "--json").json["verified"]
    assert row["figures"]["load_s"] == told["load_s"]
    assert "Checking" not in asking("run", "a.bmp", "--max-tokens", "6").err


def test_run_verifies_once_and_only_when_there_is_something_to_ask(asking: Program) -> None:
    assert "Checking" not in asking("run", "a.bmp", "--dry-run").err
    assert CHECKING in asking("run", "a.bmp", "--max-tokens", "6").err
    assert "Checking" not in asking("run", "a.bmp", "--max-tokens", "5").err


def test_a_damaged_build_runs_only_when_told_to(asking: Program) -> None:
    blind(asking)
    refused = asking("run", "a.bmp", "--max-tokens", "6", code=1)
    assert "tiny failed its check on CPU: it says the same about two pictures" in refused.err
    assert "pixmill models verify tiny --device CPU" in refused.err and "--unverified" in refused.err
    taken = asking("run", "a.bmp", "--max-tokens", "6", "--unverified")
    assert "failed its check" not in taken.err and "1 answered now" in taken.err
    assert asking("models", "show", "tiny", "--json").json["verified"] == [], "that was no verification"


def test_ctrl_c_while_a_build_is_verified(asking: Program) -> None:
    for command in (("models", "verify", "tiny"), ("run", "a.bmp", "--max-tokens", "6")):
        process = asking.start(*command)
        assert process.stderr
        while "Checking" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
        assert (process.returncode, "Traceback" in err) == (130, False), err
    assert asking("models", "show", "tiny", "--json").json["verified"] == []
    assert asking("run", "a.bmp", "--max-tokens", "6", "--json").json["done"] == 1


def test_what_cannot_be_verified(asking: Program, tmp_path: Path) -> None:
    assert "There is no model 'tinny'" in asking("models", "verify", "tinny", code=1).err
    assert "config.json is missing" in asking("models", "verify", tmp_path, code=1).err
    assert "KEY=VALUE" in asking("models", "verify", "tiny", "--device-config", "f32", code=2).err
