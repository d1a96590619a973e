"""What openvino-genai answers from an exported checkpoint is, token by token, what PyTorch answers from it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.convert.conftest import Checkpoint, Program
from tests.models import FAMILIES

pytestmark = pytest.mark.timeout(1800)

QUESTION = "What is on the left?"
"""at which no answer comes near a tie: the two likeliest tokens are 0.006 apart or more in log-probability, and what
the two sides compute differs by 0.00001"""
SIZES = {
    "llava": (56, 56),
    "qwen2_vl": (112, 56),
    "internvl_chat": (56, 56),
    "minicpmv": (112, 28),
    "phi3_v": (336, 336),
}
"""width and height at which a family takes a picture as it is: libraries differ in how they resize"""
OWN_CODE = {"internvl_chat", "minicpmv", "phi3_v"}

Answers = list[list[int]]
"""tokens for each of two pictures, then for both in one request"""


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def pictures(family: str, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two mosaics of random colors."""
    folder, (width, height), tile = tmp_path_factory.mktemp("pictures"), SIZES[family], 14
    files = [folder / f"{seed}.png" for seed in range(2)]
    for seed, file in enumerate(files):
        colors = np.random.default_rng(seed).integers(0, 256, (height // tile, width // tile, 3), np.uint8)
        Image.fromarray(colors.repeat(tile, 0).repeat(tile, 1)).save(file)
    return files


@pytest.fixture(scope="module")
def reference(family: str, checkpoint: Checkpoint, pictures: list[Path], program: Program) -> Answers:
    return tokens(program, "torch", checkpoint(family), pictures)


@pytest.fixture(scope="module")
def build(family: str, checkpoint: Checkpoint, program: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("builds") / family
    options = ["--task", "image-text-to-text", "--weight-format", "fp32"]
    options += ["--trust-remote-code"] if family in OWN_CODE else []
    program("optimum.commands.optimum_cli", "export", "openvino", "--model", checkpoint(family), *options, out)
    return out


def tokens(program: Program, side: str, model: Path, pictures: list[Path]) -> Answers:
    answers: Answers = json.loads(program(f"tests.convert.{side}_tokens", model, QUESTION, *pictures))
    return answers


def test_the_export_says_what_pytorch_says(
    build: Path, reference: Answers, pictures: list[Path], program: Program
) -> None:
    assert [len(answer) for answer in reference] == [12, 12, 12]
    assert tokens(program, "engine", build, pictures) == reference


def test_pictures_change_the_answer(reference: Answers) -> None:
    one, other, both = map(tuple, reference)
    assert len({one, other, both}) == 3


def test_another_seed_says_something_else(
    family: str, checkpoint: Checkpoint, reference: Answers, pictures: list[Path], program: Program
) -> None:
    others = tokens(program, "torch", checkpoint(family, seed=1), pictures)
    assert all(other != answer for other, answer in zip(others, reference, strict=True))


def test_a_seed_gives_one_checkpoint(checkpoint: Checkpoint, program: Program, tmp_path: Path) -> None:
    program("tests.convert.checkpoints", tmp_path, 0)
    for family in FAMILIES:
        again, first = (folder / "model.safetensors" for folder in (tmp_path / family, checkpoint(family)))
        assert again.read_bytes() == first.read_bytes(), family
