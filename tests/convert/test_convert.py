"""`pixmill models convert` makes of each family's checkpoint what its reference recipe says, and the build works."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pipeline.models import builds
from pipeline.models.catalogue import FAMILIES
from tests.house import draw
from tests.program import Program

pytestmark = [pytest.mark.timeout(1800), pytest.mark.filterwarnings("default")]

Checkpoint = Callable[..., Path]

LAYERS = {
    "internvl_chat": {"int4": 14, "int8": 1},
    "qwen2_vl": {"int4": 14, "int8": 1},
    "minicpmv": {"int4": 15},
    "llava": {"int4": 15},
    "phi3_v": {"int4": 4, "int8": 5},
}
"""of two blocks with seven layers (Phi-3-vision's have four) and the last layer, as the recipes' shares give them"""
# Random weights make every rounding grow: at bf16 the two engines part within a dozen tokens.
EXACTLY = [f"--device-config={key}=f32" for key in ("INFERENCE_PRECISION_HINT", "KV_CACHE_PRECISION")]
EVERY_ROW = {"qwen2_vl": "openvino_vision_embeddings_merger_model", "minicpmv": "openvino_resampler_model"}


@pytest.fixture(scope="module")
def pixmill(tmp_path_factory: pytest.TempPathFactory) -> Program:
    home = tmp_path_factory.mktemp("home")
    hub = {"HF_HOME": str(tmp_path_factory.mktemp("hugging-face")), "HF_HUB_OFFLINE": "1"}
    return Program(home=home, folder=tmp_path_factory.mktemp("work"), environment=hub)


@pytest.fixture(scope="module")
def converted(pixmill: Program, checkpoint: Checkpoint) -> Callable[[str], Path]:
    """The family's build, made when first asked for."""

    def convert(family: str) -> Path:
        build = pixmill.home / "models" / family
        if not build.exists():
            trust = ["--trust-remote-code"] if FAMILIES[family].own_code else []
            pixmill("models", "convert", checkpoint(family), *trust)
        return build

    return convert


def widths(build: Path, part: str) -> Mapping[str, int]:
    return {kind: width["layers"] for kind, width in builds.manifest(build)["bits"][part].items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_are_as_wide_as_the_family_s_recipe_says(family: str, converted: Callable[[str], Path]) -> None:
    build = converted(family)
    told = builds.manifest(build)
    assert told["recipe"]["name"] == FAMILIES[family].recipe
    assert widths(build, "openvino_language_model") == LAYERS[family]
    assert list(widths(build, "openvino_text_embeddings_model")) == ["int8"]
    tower = list(widths(build, "openvino_vision_embeddings_model"))
    assert "int4" in tower if family == "internvl_chat" else tower == ["int8"]
    if family in EVERY_ROW:
        assert list(widths(build, EVERY_ROW[family])) == ["int8"]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_build_tells_where_it_comes_from_and_no_places_besides(
    family: str, converted: Callable[[str], Path], checkpoint: Checkpoint
) -> None:
    build = converted(family)
    told = builds.manifest(build)
    assert told["source"] == str(checkpoint(family))
    assert {"optimum-intel", "transformers", "torch", "nncf", "openvino"} <= told["tools"].keys()
    assert not list(build.glob("*.py"))
    for file in build.iterdir():
        if file.name != builds.MANIFEST:
            assert str(checkpoint(family)).encode() not in file.read_bytes(), file.name


@pytest.mark.parametrize("family", FAMILIES)
def test_a_build_is_verified_and_answers(
    family: str, pixmill: Program, converted: Callable[[str], Path], tmp_path: Path
) -> None:
    converted(family)
    said = pixmill("models", "verify", family, *EXACTLY)
    assert "loads in" in said.out + said.err
    picture = draw(tmp_path / "picture.bmp", 7, (56, 56))
    outcome = pixmill("run", picture, "-q", "What is it?", "-m", family, "--max-tokens", "8", "--json").json
    assert (outcome["done"], outcome["failed"]) == (1, 0)


def test_flags_make_a_recipe_of_their_own(pixmill: Program, checkpoint: Checkpoint) -> None:
    said = pixmill("models", "convert", checkpoint("llava"), "--weight-format", "int8")
    assert "llava-int8 is ready" in said.out
    build = pixmill.home / "models" / "llava-int8"
    assert widths(build, "openvino_language_model") == {"int8": 15}
    assert builds.manifest(build)["recipe"]["name"] == "custom"


def test_code_of_a_checkpoint_is_not_run_unasked(pixmill: Program, checkpoint: Checkpoint) -> None:
    said = pixmill("models", "convert", checkpoint("minicpmv"), "--name", "refused", code=1)
    assert "carry Python code of their own" in said.err
    assert "--trust-remote-code" in said.err
    assert not (pixmill.home / "models" / "refused").exists()


def test_a_failed_conversion_leaves_the_old_build_and_its_log(
    pixmill: Program, converted: Callable[[str], Path], checkpoint: Checkpoint
) -> None:
    before = builds.hashes(converted("llava"))
    weights = checkpoint("llava") / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:1000])
    said = pixmill("models", "convert", checkpoint("llava"), code=1)
    weights.write_bytes(whole)
    assert "could not be converted" in said.err
    log = Path(said.err.rsplit(" ", 1)[-1].strip())
    assert "Traceback" in log.read_text()
    assert builds.hashes(pixmill.home / "models" / "llava") == before
    assert not (log.parent / "llava").exists()


def test_a_checkpoint_does_not_take_the_name_of_another_s_build(
    pixmill: Program, converted: Callable[[str], Path], checkpoint: Checkpoint, tmp_path: Path
) -> None:
    converted("llava")
    other = Path(shutil.copytree(checkpoint("llava"), tmp_path / "llava"))
    said = pixmill("models", "convert", other, code=1)
    assert f"The name 'llava' has a model from {checkpoint('llava')} already" in said.err
