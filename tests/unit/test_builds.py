"""pipeline.models.builds: what a model's folder says about itself, and which folders are refused."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from pipeline.errors import ModelBroken, ModelMissing, ModelNameOther, ModelNotGiven, NoModelYet
from pipeline.models import builds
from tests.models import FAMILIES, make
from workers.demo import INT4


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make("llava", tmp_path_factory.mktemp("models") / "llava")


@pytest.fixture
def build(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "models" / "tiny"))


def test_a_model_is_found_by_its_name_and_by_its_directory(build: Path, tmp_path: Path) -> None:
    assert builds.find_model("tiny", tmp_path) == builds.ModelPlace(alias="tiny", path=build)
    assert builds.find_model(str(build), tmp_path / "elsewhere") == builds.ModelPlace(alias=None, path=build)


def test_an_unknown_name_lists_the_known_ones(build: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="There are: tiny"):
        builds.find_model("tinny", tmp_path)
    with pytest.raises(ModelNotGiven, match="There are: tiny"):
        builds.find_model(None, tmp_path)


def test_without_any_model_the_ways_to_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(NoModelYet, match=r"pixmill models pull .* --model demo, knows only"):
        builds.find_model(None, tmp_path)


def test_the_bundled_model_goes_by_its_name_unless_the_home_has_one(
    build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    assert builds.find_model("demo", tmp_path) == builds.ModelPlace(alias="demo", path=INT4)
    own = build.rename(build.with_name("demo"))
    assert builds.find_model("demo", tmp_path) == builds.ModelPlace(alias="demo", path=own)
    assert builds.find_model("./demo", tmp_path) == builds.ModelPlace(alias=None, path=tmp_path / "demo")


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("internvl2-1b", "pull"),
        ("OpenVINO/InternVL2-1B-int8-ov", "pull"),
        ("qwen2-vl-2b", "convert"),
        ("OpenGVLab/InternVL2-1B", "convert"),
    ],
)
def test_a_published_model_that_is_not_here_is_said_to_be_there(tmp_path: Path, name: str, way: str) -> None:
    with pytest.raises(ModelMissing, match=f"To get {name}: pixmill models {way} {name}$"):
        builds.find_model(name, tmp_path)


def test_a_name_that_no_folder_can_have_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"With Pixmill comes: demo\.$"):
        builds.find_model("a" * 300, tmp_path)


def test_a_directory_beside_one_that_ends_like_ours_is_found(build: Path, tmp_path: Path) -> None:
    build.with_name("tiny~old").mkdir()
    assert builds.find_model(str(build), tmp_path / "elsewhere").path == build


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_described(family: str, tmp_path: Path) -> None:
    path = make(family, tmp_path / family)
    facts = builds.describe(path, builds.digest(builds.hashes(path)))
    assert facts.family == json.loads((path / "config.json").read_text())["model_type"]
    assert facts.precision == "fp32"
    assert facts.digest == builds.digest(builds.hashes(path))


def test_the_digest_follows_the_files_and_not_the_manifest(build: Path) -> None:
    before, stamp = builds.digest(builds.hashes(build)), builds.stamp(build)
    (build / builds.MANIFEST).write_text("{}")
    (build / ".hidden").write_text("")
    assert (builds.digest(builds.hashes(build)), builds.stamp(build)) == (before, stamp)
    weights = build / "openvino_language_model.bin"
    changed = bytearray(weights.read_bytes())
    changed[100] ^= 1
    weights.write_bytes(changed)
    assert builds.digest(builds.hashes(build)) != before


def test_the_stamp_notices_a_touched_file(build: Path) -> None:
    before = builds.stamp(build)
    os.utime(build / "config.json", ns=(1, 1))
    assert builds.stamp(build) != before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("openvino_language_model.bin", "openvino_language_model.bin is missing"),
        ("openvino_detokenizer.xml", "openvino_detokenizer.xml is missing"),
        ("config.json", "config.json is missing"),
    ],
)
def test_a_missing_file_is_named(build: Path, name: str, message: str) -> None:
    (build / name).unlink()
    with pytest.raises(ModelBroken, match=message):
        builds.describe(build, b"")


def test_a_part_of_its_family_is_not_forgotten(tmp_path: Path) -> None:
    path = make("minicpmv", tmp_path / "minicpmv")
    (path / "openvino_resampler_model.xml").unlink()
    with pytest.raises(ModelBroken, match=r"openvino_resampler_model\.xml is missing"):
        builds.check_files(path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"model_type": 3}', "{}"])
def test_a_config_that_is_none_is_refused(build: Path, text: str) -> None:
    (build / "config.json").write_text(text)
    with pytest.raises(ModelBroken):
        builds.check_files(build)


def test_a_damaged_ir_is_refused(build: Path) -> None:
    (build / "openvino_language_model.xml").write_text("<net><layers>")
    with pytest.raises(ModelBroken, match="damaged"):
        builds.describe(build, b"")


def test_precision_is_counted_in_the_weights(build: Path) -> None:
    ir = """<net><layers>
      <layer id="0" type="Const"><data element_type="u4" shape="100, 64"/></layer>
      <layer id="1" type="Const"><data element_type="f16" shape="100, 1"/></layer>
      <layer id="2" type="Const"><data element_type="u8" shape="20, 20"/></layer>
      <layer id="3" type="Const"><data element_type="i64" shape="100000"/></layer>
      <layer id="4" type="Multiply"/><layer id="5" type="MatMul"/><layer id="6" type="MatMul"/>
    </layers><edges>
      <edge from-layer="0" from-port="0" to-layer="4" to-port="0"/>
      <edge from-layer="1" from-port="0" to-layer="4" to-port="1"/>
      <edge from-layer="4" from-port="2" to-layer="5" to-port="1"/>
      <edge from-layer="2" from-port="0" to-layer="6" to-port="1"/>
    </edges><rt_info><nncf><version value="3.4.0"/>
      <weight_compression><mode value="int4_asym"/><group_size value="64"/></weight_compression>
    </nncf></rt_info></net>"""
    (build / "openvino_language_model.xml").write_text(ir)
    facts = builds.describe(build, b"")
    assert facts.precision == "int4"
    assert facts.recipe == {"mode": "int4_asym", "group_size": "64"}
    assert facts.tools == {"nncf": "3.4.0"}


def test_what_tools_keep_hidden_beside_a_build_is_no_part_of_it(build: Path) -> None:
    before, stamp = builds.hashes(build), builds.stamp(build)
    for name in (".git/index", ".cache/huggingface/download/config.json.metadata", ".gitattributes"):
        (build / name).parent.mkdir(parents=True, exist_ok=True)
        (build / name).write_text("new each time")
    assert (builds.hashes(build), builds.stamp(build)) == (before, stamp)


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("openvino_model.xml", "as those have that see no pictures"),
        ("model-00001-of-00002.safetensors", "it is a checkpoint. Make a build of it: pixmill models convert /"),
    ],
)
def test_a_folder_that_is_another_kind_of_model_is_told_apart(tmp_path: Path, file: str, sentence: str) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "qwen2_vl"}')
    (tmp_path / file).touch()
    with pytest.raises(ModelBroken, match=sentence):
        builds.check_files(tmp_path)


def test_a_name_is_renewed_from_the_same_place_only(build: Path) -> None:
    (build / "pixmill.json").write_text('{"source": "Org/One"}')
    builds.check_free(build.parent, "tiny", "Org/One")
    builds.check_free(build.parent, "free", "Org/Other")
    with pytest.raises(ModelNameOther, match=r"'tiny' has a model from Org/One already, .* one from Org/Other"):
        builds.check_free(build.parent, "tiny", "Org/Other")
