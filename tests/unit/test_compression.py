"""workers.compression: what is refused before work begins, and how layers are told apart."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op

from pipeline.errors import ModelCompressed, ModelUnreadable, NothingToCompress, PartUnwritable, RecipeNeedsData
from pipeline.models.announcing import rows
from pipeline.models.builds import ModelPlace
from pipeline.models.recipes import RECIPES, Recipe, Weights
from tests.models import make
from workers.commands.compress import fallen, tower
from workers.compression import EXACT, check_recipe, check_source, copy_rest, needs
from workers.compression.layers import Layer, candidates, fallen_back, fits, fitting, layers
from workers.compression.order import default_name
from workers.compression.weights import read, write
from workers.demo import INT4

GROUPS_128 = Weights(mode="int4_sym")


def layer(width: int, kind: str = "int4", group_size: int | None = 128) -> Layer:
    return Layer(name="product", width=width, kind=kind, group_size=group_size, symmetric=True)


def test_a_compressed_build_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelCompressed, match="are int4 and int8 already"):
        check_source(INT4)
    check_source(make("llava", tmp_path))


def test_recipes_that_are_not_for_an_ir_are_refused() -> None:
    with pytest.raises(NothingToCompress, match="fp16 leaves all weights as they are"):
        check_recipe(RECIPES["fp16"])
    with pytest.raises(RecipeNeedsData):
        check_recipe(Recipe(name="x", language=replace(GROUPS_128, awq=True)))
    check_recipe(RECIPES["llava"])


def test_the_recipes_of_npus_are_exact() -> None:
    assert "internvl2-npu" in EXACT and "internvl2" not in EXACT


def test_all_but_models_manifests_and_hidden_files_is_copied(tmp_path: Path) -> None:
    build = make("llava", tmp_path / "build")
    for name in ("pixmill.json", ".hidden", ".cache/at", "deep/below.txt", "deep/pixmill.json"):
        (build / name).parent.mkdir(exist_ok=True)
        (build / name).write_text("{}")
    copy_rest(build, tmp_path / "out")
    copied = {file.relative_to(tmp_path / "out").as_posix() for file in (tmp_path / "out").rglob("*") if file.is_file()}
    left_out = {"pixmill.json", ".hidden", ".cache/at"}
    parts = {file.name for file in build.glob("openvino_*_model.*")}
    everything = {file.relative_to(build).as_posix() for file in build.rglob("*") if file.is_file()}
    assert copied == everything - left_out - parts
    assert len(parts) == 6 and "openvino_tokenizer.bin" in copied


def test_what_a_build_will_take_is_less_the_fewer_the_bits(tmp_path: Path) -> None:
    build = make("llava", tmp_path)
    four, eight, none = (needs(build, RECIPES[name]) for name in ("int4", "int8", "fp16"))
    assert four < eight < none == sum(file.stat().st_size for file in build.iterdir())


def test_layers_tell_width_kind_and_groups(tmp_path: Path) -> None:
    """The shipped model's were compressed in groups of 64 with zero points."""
    found = layers(read(INT4 / "openvino_language_model.xml"))
    assert len(found) == 29
    assert {one.kind for one in found[:-1]} == {"int4"} and found[-1].kind == "int8"
    assert {(one.width, one.group_size, one.symmetric) for one in found[:-1]} == {(192, 64, False), (512, 64, False)}
    assert (found[-1].width, found[-1].group_size) == (192, 192)


@pytest.mark.parametrize(("side", "transposed", "width"), [(1, True, 6), (1, False, 4), (0, True, 4), (0, False, 6)])
def test_the_width_is_what_is_summed_up(side: int, transposed: bool, width: int) -> None:
    weight = op.constant(np.ones((4, 6), np.float32))
    x = op.parameter([-1, width] if side else [width, -1], ov.Type.f32)
    product = op.matmul(x, weight, False, transposed) if side else op.matmul(weight, x, transposed, False)
    (one,) = layers(ov.Model([product], [x], "small"))
    assert (one.width, one.kind, one.group_size) == (width, "fp32", None)


def test_what_is_computed_is_no_weight() -> None:
    x = op.parameter([2, 2], ov.Type.f32)
    assert layers(ov.Model([op.matmul(x, x, False, False)], [x], "small")) == []


def test_layers_fall_back_where_groups_do_not_divide_them() -> None:
    found = [layer(256), layer(192, group_size=64), layer(100, "int8", 100), layer(192, "int8", 192), layer(100)]
    assert fallen_back(found, GROUPS_128) == [found[1], found[2]], "the fourth was the ratio's choice"
    assert fallen_back(found[:3], replace(GROUPS_128, all_layers=True)) == [found[1], found[2]]
    assert fallen_back(found, replace(GROUPS_128, group_size=-1)) == []
    assert fallen_back(found, Weights(mode="int8_sym")) == []
    assert candidates(found, GROUPS_128) == found[:-1]


def test_a_recipe_fits_when_a_layer_takes_it_or_all_must() -> None:
    assert fits([layer(256), layer(100)], GROUPS_128, exact=False)
    assert fits([layer(96), layer(100)], GROUPS_128, exact=False), "groups of 32 are taken instead"
    assert not fits([layer(100), layer(48)], GROUPS_128, exact=False)
    assert not fits([layer(256), layer(192)], GROUPS_128, exact=True)
    assert fits([layer(256), layer(384)], GROUPS_128, exact=True)
    assert fits([layer(100)], replace(GROUPS_128, group_size=-1), exact=True)
    assert fits([], GROUPS_128, exact=True)


def test_the_groups_that_would_fit() -> None:
    assert fitting([layer(256), layer(192)], exact=False) == [64, 32, -1]
    assert fitting([layer(256), layer(192)], exact=True) == [-1]
    assert fitting([layer(100)], exact=False) == [-1]


def test_an_ir_that_openvino_cannot_read_is_told(tmp_path: Path) -> None:
    xml = make("llava", tmp_path) / "openvino_language_model.xml"
    xml.write_text(xml.read_text().replace('type="MatMul" version="opset1"', 'type="MatMul" version="opset99"'))
    with pytest.raises(ModelUnreadable, match=r"OpenVINO 20\S+ cannot read .*opset99.*pip install --upgrade"):
        read(xml)


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """Files that may not grow fail as those on a full disk do; what was begun is gone."""
    model, out = read(make("llava", tmp_path / "tiny") / "openvino_language_model.xml"), tmp_path / "out.xml"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(PartUnwritable, match=r"out.bin could not be written: .*If the disk is full"):
            write(model, out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_names_without_being_told() -> None:
    at = Path("/models/x-fp32")
    assert default_name(ModelPlace(alias="internvl2-1b-fp16", path=at), "int4", None) == "internvl2-1b-int4"
    assert default_name(ModelPlace(alias=None, path=at), "llava-npu", "w8a8") == "x-llava-npu-w8a8"


def test_the_table_shows_the_widest_share_first() -> None:
    bits = {
        "one": {"int8": {"layers": 1, "parameters": 28}, "int4": {"layers": 168, "parameters": 72}},
        "two": {"int8": {"layers": 3, "parameters": 9}},
    }
    assert list(rows(bits)) == [
        ("one", "int4", "168 of 169", "72%"),
        ("", "int8", "1 of 169", "28%"),
        ("two", "int8", "3 of 3", "100%"),
    ]


def test_fallbacks_are_counted_by_what_they_became() -> None:
    documents = [
        layer(192, group_size=64).document(),
        layer(192, group_size=64).document(),
        layer(9, "int8").document(),
    ]
    (sentence,) = fallen({"language": documents})
    assert sentence.endswith("which went 2 to groups of 64, 1 to int8.")


def test_a_tower_that_is_slower_is_told() -> None:
    vision = {"cosine": 0.99961, "least_cosine": 0.9986, "compared_on": 8, "speed": 1.654}
    assert tower(vision) == (
        "Vision tower in w8a8: cosine 0.9996 to what it was, 0.9986 at least (on 8 pictures), 1.65 times as fast here."
    )
    assert tower({**vision, "speed": 0.9}).endswith("0.90 times as fast here: on this machine do without --vision.")


LOADED = "import json, sys; print(json.dumps(sorted(name.partition('.')[0] for name in sys.modules)))"


def loaded_by(code: str) -> set[str]:
    run = subprocess.run([sys.executable, "-c", f"{code}; {LOADED}"], capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout.splitlines()[-1]))


def test_nncf_is_loaded_by_compressing_alone() -> None:
    loaded = loaded_by("import workers.compression.order, workers.commands.compress")
    assert loaded & {"nncf", "scipy", "sklearn", "torch", "openvino"} == set()
    assert "nncf" in loaded_by("from workers.compression.quiet import quiet_nncf; quiet_nncf('x').__enter__()")


def test_nncf_says_nothing_to_anyone() -> None:
    """Under pytest it never does, so it is asked in a process of its own."""
    code = """
import io, rich
from workers.compression.quiet import quiet_nncf
with quiet_nncf('x') as nncf:
    from nncf.common.logging import nncf_logger
    from nncf.telemetry import telemetry
    nncf_logger.info("a table")
    rich.get_console().print("a bar")
print(type(telemetry).__name__)
rich.get_console().print("others may")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["MagicMock", "others may"] and run.stderr == ""
