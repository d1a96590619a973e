"""Compression by NNCF of real graphs, and answers of what comes out of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
import pytest
from openvino import opset13 as op
from PIL import Image

from pipeline.errors import ModelBroken, RecipeUnfit, UsageError
from pipeline.models import builds, ir, manifest
from pipeline.models.builds import ModelPlace
from pipeline.models.catalogue import FAMILIES as KNOWN
from pipeline.models.recipes import LANGUAGE, RECIPES, VISION, Recipe, Weights
from pipeline.prompts import Sampling
from pipeline.settings import read_settings
from tests.engine_child import EXACT, EngineChild, build, text
from tests.models import FAMILIES, Size, make
from tests.models.shapes import NARROW, QWEN2_05B, Shape, write_qwen2
from workers.compression import EXACT as EXACT_RECIPES
from workers.compression import compress, needs
from workers.compression.layers import layers
from workers.compression.order import Order, fulfil
from workers.compression.preprocessing import PREPARE
from workers.compression.weights import compress_part, read, write
from workers.engine.core import Ending
from workers.engine.requests import Completion, EngineConfig

SHORT = Sampling(max_tokens=12)


def quiet(text: str) -> None:
    pass


def pictures(count: int) -> list[npt.NDArray[np.uint8]]:
    random = np.random.default_rng(3)
    return [random.integers(0, 256, (40 + 31 * number, 130 - 17 * number, 3), np.uint8) for number in range(count)]


def answers(model: Path, shown: list[npt.NDArray[np.uint8]]) -> list[Ending]:
    with EngineChild(EngineConfig(model=str(model), device_config=EXACT)) as engine:
        asked = [engine.request("What is it?", engine.picture(pixels), sampling=SHORT) for pixels in shown]
        return engine.collect(engine.ask(*asked))


# --- widths --------------------------------------------------------------------------------------


def shaped(folder: Path, shape: Shape, name: str) -> Path:
    """The language model of these shapes, compressed by a recipe."""
    xml, out = write_qwen2(folder / f"{LANGUAGE}.xml", shape), folder / "out.xml"
    assert compress_part(xml, out, name, RECIPES[name].language, exact=name in EXACT_RECIPES) == []
    return out


def counts(xml: Path) -> dict[str, int]:
    return {kind: width.layers for kind, width in ir.read(xml).widths.items()}


def test_internvl2_1b_s_layers_are_in_4_bit_but_one(tmp_path: Path) -> None:
    """As the reference notebook prints it: 168 of 169; here the layers are narrow."""
    out = shaped(tmp_path, NARROW, "internvl2")
    assert counts(out) == {"int4": 168, "int8": 1}
    found = layers(read(out))
    assert {(one.group_size, one.symmetric) for one in found[:-1]} == {(128, False)}
    assert found[-1].name == "__module.lm_head/ov_ext::linear/MatMul" and found[-1].kind == "int8"


@pytest.mark.parametrize(("name", "groups"), [("internvl2-npu", {128}), ("llava-npu", {128, 256})])
def test_recipes_for_npus_are_symmetric(tmp_path: Path, name: str, groups: set[int]) -> None:
    """All in groups of 128, or a channel in one."""
    out = shaped(tmp_path, replace(NARROW, layers=1), name)
    assert counts(out) == {"int4": 7, "int8": 1}
    four = [one for one in layers(read(out)) if one.kind == "int4"]
    assert {one.group_size for one in four} == groups and all(one.symmetric for one in four)


@pytest.mark.soak
@pytest.mark.parametrize("name", ["internvl2", "internvl2-npu"])
def test_internvl2_1b_s_layers_at_full_width(tmp_path: Path, name: str) -> None:
    out = shaped(tmp_path, QWEN2_05B, name)
    widths = ir.read(out).widths
    total = sum(width.parameters for width in widths.values())
    assert {kind: (width.layers, f"{width.parameters / total:.0%}") for kind, width in widths.items()} == {
        "int4": (168, "72%"),
        "int8": (1, "28%"),
    }
    assert {one.group_size for one in layers(read(out))[:-1]} == {128}


def test_a_ratio_leaves_the_rest_in_8_bit(tmp_path: Path) -> None:
    xml = write_qwen2(tmp_path / f"{LANGUAGE}.xml", replace(NARROW, layers=2))
    out = tmp_path / "out.xml"
    compress_part(xml, out, "half", Weights(mode="int4_sym", group_size=64, ratio=0.5), exact=False)
    widths = ir.read(out).widths
    assert 4 < widths["int8"].layers < 11 and widths["int4"].layers == 15 - widths["int8"].layers


def test_layers_that_take_no_such_groups_are_named(tmp_path: Path) -> None:
    """192 takes groups of 64 instead of 128; 40 takes none, and is stored in 8 bit."""
    xml = write_qwen2(tmp_path / f"{LANGUAGE}.xml", Shape(layers=1, hidden=192, key_values=192, ffn=40, vocabulary=8))
    fallen = compress_part(xml, tmp_path / "out.xml", "int4", RECIPES["int4"].language, exact=False)
    ways = {one["layer"].split(".")[-1].split("/")[0]: (one["width"], one["stored"]) for one in fallen}
    rest = dict.fromkeys(("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj"), (192, "int4"))
    assert ways == rest | {"down_proj": (40, "int8")}
    assert {one.get("group_size") for one in fallen} == {64, None}
    assert counts(tmp_path / "out.xml") == {"int4": 6, "int8": 2}


def test_a_recipe_that_does_not_fit_names_groups_that_would(tmp_path: Path) -> None:
    xml = write_qwen2(tmp_path / f"{LANGUAGE}.xml", Shape(layers=1, hidden=64, key_values=64, ffn=192, vocabulary=8))
    with pytest.raises(
        RecipeUnfit, match=r"groups of 128 do not divide its layers, 64, 192 wide.*--sym --group-size -1$"
    ):
        compress_part(xml, tmp_path / "out.xml", "llava-npu", RECIPES["internvl2-npu"].language, exact=True)
    odd = write_qwen2(tmp_path / "odd.xml", Shape(layers=1, hidden=24, key_values=24, ffn=40, vocabulary=8))
    with pytest.raises(RecipeUnfit, match=r"24, 40 wide.*--weight-format int4 --group-size -1$"):
        compress_part(odd, tmp_path / "out.xml", "int4", RECIPES["int4"].language, exact=False)


def test_notes_of_the_graph_stay(tmp_path: Path) -> None:
    """openvino-genai reads some of them."""
    xml = write_qwen2(tmp_path / f"{LANGUAGE}.xml", Shape(layers=1, hidden=64, key_values=64, ffn=64, vocabulary=8))
    model = read(xml)
    model.set_rt_info("8", ["runtime_options", "ACTIVATIONS_SCALE_FACTOR"])
    write(model, tmp_path / "noted.xml")
    compress_part(tmp_path / "noted.xml", tmp_path / "out.xml", "int8", RECIPES["int8"].language, exact=False)
    notes = ir.read(tmp_path / "out.xml").notes
    assert notes["runtime_options"] == {"ACTIVATIONS_SCALE_FACTOR": "8"}
    assert notes["nncf"]["weight_compression"]["mode"] == "int8_sym"


# --- builds --------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_compressed_builds_answer(tmp_path: Path, family: str) -> None:
    """By each family's recipe, and in 8 bit."""
    source, shown = Path(build(family, tmp_path / "source")), pictures(3)
    for name in (KNOWN[family].recipe, "int8"):
        out = tmp_path / name
        out.mkdir()
        compress(source, out, RECIPES[name], tell=quiet)
        assert builds.size(out) < needs(source, RECIPES[name]) < builds.size(source)
        said = {text(ending) for ending in answers(out, shown)}
        assert all(said) and len(said) > 1, "one answer for all pictures would prove nothing"


def order(tmp_path: Path, source: Path, recipe: Recipe | str = "int8", **options: Any) -> Order:
    chosen = RECIPES[recipe] if isinstance(recipe, str) else recipe
    return Order(source=ModelPlace(alias=None, path=source), recipe=chosen, name="small", **options)


def test_the_manifest_says_where_from_and_how(tmp_path: Path) -> None:
    source = make("internvl_chat", tmp_path / "source")
    manifest.write(
        source, {"name": "big", "source": "Org/Model", "revision": "abc", "licence": "mit", "tools": {"a": "1"}}
    )
    settings = read_settings()
    fulfil(order(tmp_path, source, "internvl2"), settings, quiet)
    made = settings.models / "small"
    manifest.check(made, builds.hashes(made))
    told = builds.manifest(made)
    assert (told["name"], told["source"], told["revision"], told["licence"]) == ("small", "Org/Model", "abc", "mit")
    assert told["compressed_from"] == builds.digest(builds.hashes(source)).hex()
    assert told["recipe"] == RECIPES["internvl2"].document()
    assert told["bits"][LANGUAGE] == {
        "int4": {"layers": 14, "parameters": 81920},
        "int8": {"layers": 1, "parameters": 25920},
    }
    assert {one["group_size"] for one in told["fallbacks"][LANGUAGE]} == {64}
    assert {one["group_size"] for one in told["fallbacks"][VISION]} == {32, 64}
    assert told["tools"].keys() >= {"a", "nncf", "openvino"}


def test_a_source_that_is_not_what_its_manifest_says_is_refused(tmp_path: Path) -> None:
    source = make("llava", tmp_path / "source")
    manifest.write(source, {"name": "big"})
    (source / "tokenizer.json").write_text("{}")
    settings = read_settings()
    with pytest.raises(ModelBroken, match=r"tokenizer.json has changed"):
        fulfil(order(tmp_path, source), settings, quiet)
    assert not (settings.models / "small").exists() and not (settings.models / ".staging" / "small").exists()


def test_a_model_does_not_take_the_place_of_its_source(tmp_path: Path) -> None:
    settings = read_settings()
    source = make("llava", settings.models / "small")
    with pytest.raises(UsageError, match="small would replace the model it is made from"):
        fulfil(order(tmp_path, source), settings, quiet)


# --- the vision tower ----------------------------------------------------------------------------


def seeing_nothing_but(features: Callable[[], Any], source: Path, out: Path) -> Path:
    """A copy of a build whose tower gives these features, whatever it is shown."""
    shutil.copytree(source, out)
    tower = read(source / f"{VISION}.xml")
    (pixels,) = tower.get_parameters()
    nothing = op.multiply(op.reduce_sum(pixels, np.array([0, 1, 2, 3])), np.float32(0))
    result = op.result(op.add(op.constant(features()), nothing))
    result.output(0).get_tensor().set_names({"last_hidden_state"})
    for file in out.glob(f"{VISION}.*"):
        file.unlink()
    write(ov.Model([result], [pixels], "constant"), out / f"{VISION}.xml")
    return out


def seen(ending: Ending) -> tuple[str, float]:
    assert isinstance(ending, Completion) and ending.logprob is not None
    return ending.text, ending.logprob


@pytest.mark.parametrize("family", PREPARE)
def test_towers_are_shown_what_openvino_genai_shows_them(tmp_path: Path, family: str) -> None:
    """With features computed here from pixels made here, the answer is the same to the last digits."""
    source = Path(build(family, tmp_path / "source"))
    pixels = np.random.default_rng(1).integers(0, 256, (150, 90, 3), np.uint8)
    config = builds.read_json(source / "preprocessor_config.json")
    tower = ov.Core().compile_model(source / f"{VISION}.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def features(picture: Image.Image) -> Any:
        return tower({"pixel_values": PREPARE[family](picture, config)})[0]

    picture = Image.fromarray(pixels)
    same = seeing_nothing_but(lambda: features(picture), source, tmp_path / "same")
    turned = seeing_nothing_but(lambda: features(picture.rotate(180)), source, tmp_path / "turned")
    (right,), (found,), (other,) = (answers(model, [pixels]) for model in (source, same, turned))
    assert seen(found)[0] == seen(right)[0]
    assert seen(found)[1] == pytest.approx(seen(right)[1], abs=1e-6)
    assert abs(seen(other)[1] - seen(right)[1]) > 1e-4, "another picture would be told apart"


@pytest.mark.parametrize("family", PREPARE)
def test_a_tower_in_8_bit_throughout_answers(tmp_path: Path, family: str) -> None:
    settings = read_settings()
    source = make(family, tmp_path / "source", size=Size(vision_width=128, vision_heads=4, vision_ffn=256))
    told: list[str] = []
    fulfil(order(tmp_path, source, quantises_vision=True), settings, told.append)
    made = settings.models / "small"
    assert all(text(ending) for ending in answers(made, pictures(2)))
    facts = builds.manifest(made)
    assert facts["recipe"]["vision"] == {"mode": "w8a8"} and "fp32" not in facts["bits"][VISION]
    figures = facts["vision"]
    assert (figures["calibrated_on"], figures["compared_on"], figures["pictures"]) == (32, 8, "drawn scenes")
    assert 0.98 <= figures["least_cosine"] <= figures["cosine"] <= 1 and figures["speed"] > 0
    assert (made / f"{VISION}.xml").read_text().count('type="FakeQuantize"') > 5
    assert any("cosine" in line and "times as fast" in line for line in told)
