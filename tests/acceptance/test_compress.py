"""`pixmill models compress`, as a person meets it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from pipeline.models import builds, manifest
from pipeline.models.recipes import LANGUAGE
from tests.models import make
from tests.models.shapes import NARROW, write_qwen2
from tests.program import Program


@pytest.fixture
def pixmill(tmp_path: Path) -> Program:
    (tmp_path / "here").mkdir()
    return Program(tmp_path / "home", tmp_path / "here")


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose compression takes seconds."""
    folder = make("internvl_chat", tmp_path_factory.mktemp("models") / "slow")
    write_qwen2(folder / f"{LANGUAGE}.xml", NARROW)
    return folder


def test_a_model_is_compressed_and_gets_a_name(pixmill: Program) -> None:
    make("llava", pixmill.home / "models" / "tiny-fp32")
    ended = pixmill("models", "compress", "tiny-fp32")
    assert [line.split() for line in ended.out.splitlines()[:4]] == [
        ["PART", "WIDTH", "LAYERS", "PARAMETERS"],
        [LANGUAGE, "int4", "15", "of", "15", "100%"],
        ["openvino_text_embeddings_model", "int8", "1", "of", "1", "100%"],
        ["openvino_vision_embeddings_model", "int8", "9", "of", "9", "100%"],
    ]
    assert "tiny-int4 is ready: build " in ended.out and ended.out.endswith("Try: pixmill run photos -m tiny-int4\n")
    assert f"{LANGUAGE}: 434 kB to int4_asym" in ended.err.splitlines()
    assert "which went 13 to groups of 64." in ended.err


def test_with_json_nothing_else_is_on_stdout(pixmill: Program) -> None:
    source = make("llava", pixmill.folder / "tiny")
    told = pixmill("models", "compress", source, "--weight-format", "int8", "--vision", "w8a8", "--json").json
    assert told["name"] == "tiny-int8-w8a8" and Path(told["path"]) == pixmill.home / "models" / told["name"]
    assert told["recipe"]["language"] == {"mode": "int8_asym"} and told["recipe"]["vision"] == {"mode": "w8a8"}
    assert told["bits"][LANGUAGE].keys() == {"int8"} and told["vision"]["least_cosine"] > 0.98
    assert told["build"] == builds.digest(builds.hashes(Path(told["path"]))).hex()


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("demo",), 1, "are int4 and int8 already: compressing them again would only lose more"),
        (("tiny", "--recipe", "internvl2-npu"), 1, "This fits: --weight-format int4 --sym --group-size -1"),
        (("tiny", "--vision", "w8a8", "--calibrate", "."), 1, "takes 10 pictures at least, and in . only 0 can"),
        (("tiny", "--calibrate", "."), 2, "--calibrate is for --vision w8a8"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    pixmill: Program, words: tuple[str, ...], code: int, sentence: str
) -> None:
    make("llava", pixmill.home / "models" / "tiny")
    ended = pixmill("models", "compress", *words, code=code)
    assert ended.err.splitlines()[-1].startswith("Error: ") and sentence in ended.err and not ended.out
    left = {path.name for path in (pixmill.home / "models").iterdir()} - {".staging"}
    assert left == {"tiny"}
    assert not [path for path in (pixmill.home / "models").glob(".staging/*") if path.is_dir()]


def begun(pixmill: Program, slow: Path) -> subprocess.Popen[str]:
    """A compression under the name `small`, its language model in NNCF's hands."""
    process = pixmill.start("models", "compress", slow, "--name", "small")
    work = pixmill.home / "models" / ".staging" / "small"
    while not (work / "openvino_tokenizer.bin").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    assert not (work / f"{LANGUAGE}.bin").exists()
    return process


def test_killed_at_any_moment_it_leaves_the_old_build(pixmill: Program, slow: Path) -> None:
    old = make("llava", pixmill.home / "models" / "small")
    before = builds.hashes(old)
    process = begun(pixmill, slow)
    process.kill()
    process.communicate()
    assert builds.hashes(old) == before
    other = make("phi3_v", pixmill.folder / "other")
    pixmill("models", "compress", other, "--name", "small")
    manifest.check(old, builds.hashes(old))
    assert builds.manifest(old)["family"] == "phi3_v"
    assert [path.name for path in (pixmill.home / "models" / ".staging").iterdir()] == ["small.lock"]


def test_interrupted_it_leaves_nothing(pixmill: Program, slow: Path) -> None:
    process = begun(pixmill, slow)
    other = pixmill("models", "compress", slow, "--name", "small", code=1)
    assert "Another pixmill is making or removing the model 'small' right now" in other.err
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130 and "Traceback" not in err
    assert os.listdir(pixmill.home / "models") == [".staging"]
    assert os.listdir(pixmill.home / "models" / ".staging") == ["small.lock"]
