"""pipeline.models.manifest: what a maker tells of a build, and what its files must be for it to be taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import ModelBroken, ModelMissing
from pipeline.models import builds, manifest, register, use
from pipeline.models.catalogue import BRIEFLY
from pipeline.prompts import Defaults
from pipeline.store import Store
from tests.models import make


@pytest.fixture
def build(tmp_path: Path) -> Path:
    folder = make("internvl_chat", tmp_path / "tiny")
    manifest.write(
        folder, {"source": "somebody/model", "revision": "abc", "licence": "mit", "recipe": {"name": "none"}}
    )
    return folder


def test_it_tells_what_the_files_say(build: Path) -> None:
    told = builds.manifest(build)
    assert (told["family"], told["source"], told["licence"]) == ("internvl_chat", "somebody/model", "mit")
    assert told["bits"]["openvino_language_model"] == {"fp32": {"layers": 15, "parameters": 107840}}
    assert told["size"] == sum(file.stat().st_size for file in build.iterdir() if file.name != builds.MANIFEST)
    assert told["hash"] == builds.digest(builds.hashes(build)).hex()
    assert told["files"].keys() == {file.name for file in build.iterdir()} - {builds.MANIFEST}


def test_it_changes_nothing_of_the_build_s_identity(build: Path) -> None:
    before = builds.digest(builds.hashes(build))
    manifest.write(build, {"source": "somebody/else"})
    assert builds.digest(builds.hashes(build)) == before


def test_a_build_that_is_not_what_it_says_is_refused(build: Path, store: Store) -> None:
    place = builds.ModelPlace(alias="tiny", path=build)
    assert register(store, place).family == "internvl_chat"
    weights = build / "openvino_language_model.bin"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(ModelBroken, match=r"openvino_language_model\.bin has changed\. Make or pull it again"):
        register(store, place)
    weights.rename(build / "more.bin")
    with pytest.raises(ModelBroken, match=r"openvino_language_model\.bin is missing"):
        register(store, place)


def test_a_model_is_asked_as_its_manifest_says_else_as_its_family_is(build: Path, store: Store) -> None:
    place = builds.ModelPlace(alias="tiny", path=build)
    assert register(store, place).defaults == BRIEFLY
    manifest.write(build, {"defaults": {"caption": "What is it?", "max_tokens": 7}})
    assert register(store, place).defaults == Defaults(caption="What is it?", max_tokens=7)


def test_all_differences_are_counted(build: Path) -> None:
    (build / "more.txt").touch()
    (build / "config.json").write_text((build / "config.json").read_text() + " ")
    with pytest.raises(ModelBroken, match=r"config\.json has changed, and 1 more differ"):
        manifest.check(build, builds.hashes(build))


def test_a_build_without_one_promises_nothing(tmp_path: Path) -> None:
    folder = make("llava", tmp_path)
    manifest.check(folder, builds.hashes(folder))


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"defaults": {"color": "blue"}}, "defaults that are unknown here"),
        ({"defaults": 5}, r"defaults in its pixmill\.json is no object"),
        ({"tools": ["nncf"]}, r"tools in its pixmill\.json is no object"),
    ],
)
def test_a_manifest_that_somebody_spoiled_is_a_sentence(
    build: Path, store: Store, facts: dict[str, object], sentence: str
) -> None:
    manifest.write(build, facts)
    with pytest.raises(ModelBroken, match=sentence):
        use(store, str(build), build)


def test_an_alias_of_a_directory_is_used_by_its_name(build: Path, store: Store, tmp_path: Path) -> None:
    register(store, builds.ModelPlace(alias=None, path=build), alias="mine")
    found = use(store, "mine", tmp_path / "home")
    assert (found.alias, found.path) == ("mine", build)
    build.rename(tmp_path / "moved")
    with pytest.raises(ModelMissing, match="no model 'mine'"):
        use(store, "mine", tmp_path / "home")
