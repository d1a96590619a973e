"""workers.conversion.checkpoint: checkpoints of a hub of our own, with the real huggingface_hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from pipeline.errors import CodeUntrusted, RepoUnknown, UsageError
from pipeline.models.catalogue import FAMILIES
from tests.hub import HubServer, hub_server
from workers.conversion.checkpoint import find_checkpoint

REPO, TOWER = "microsoft/Phi-3.5-vision-instruct", "openai/clip-vit-large-patch14-336"
COMMIT = "a" * 40


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with hub_server() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        server.add(REPO, checkpoint(tmp_path / "phi"))
        server.add(TOWER, tower(tmp_path / "tower"))
        yield server


def checkpoint(folder: Path) -> Path:
    folder.mkdir()
    config = {"model_type": "phi3_v", "img_processor": {"model_name": TOWER}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(b"x" * 200_000)
    (folder / "modeling_phi3_v.py").write_text("")
    (folder / "pytorch_model.bin").write_bytes(b"pickled")
    (folder / "photo.jpg").write_bytes(b"")
    return folder


def tower(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "clip"}')
    return folder


def test_only_its_configuration_is_there_before_it_is_fetched(hub: HubServer) -> None:
    found = find_checkpoint("phi-3.5-vision", None)
    assert (found.source, found.name, found.revision) == (REPO, "phi-3.5-vision", COMMIT)
    assert found.weights == 200_000
    assert [file.name for file in found.path.iterdir()] == ["config.json"]
    found.fetch(print)
    assert {file.name for file in found.path.iterdir()} == {"config.json", "model.safetensors", "modeling_phi3_v.py"}


def test_what_a_checkpoint_names_besides_is_fetched_too(hub: HubServer, tmp_path: Path) -> None:
    """Conversion runs cut off from the hub, and asks for it by its name."""
    find_checkpoint(REPO, None).fetch(print)
    assert list((tmp_path / "cache").glob("models--openai--*/refs/main"))


def test_code_is_trusted_only_at_a_commit_that_was_named(hub: HubServer) -> None:
    family = FAMILIES["phi3_v"]
    for revision, trusted in ((None, True), ("main", True), (COMMIT, False)):
        with pytest.raises(CodeUntrusted, match=f"--trust-remote-code --revision {COMMIT}"):
            find_checkpoint(REPO, revision).check_code(family, trusted=trusted)
    find_checkpoint(REPO, COMMIT).check_code(family, trusted=True)


@pytest.mark.parametrize(
    ("file", "sentence"),
    [("openvino_language_model.xml", "is an OpenVINO build already"), ("README.md", "has no weights")],
)
def test_what_has_nothing_to_convert_is_refused(tmp_path: Path, file: str, sentence: str) -> None:
    (tmp_path / file).touch()
    with pytest.raises(UsageError, match=sentence):
        find_checkpoint(str(tmp_path), None).check_weights()


def test_what_is_nowhere_is_named(hub: HubServer, tmp_path: Path) -> None:
    with pytest.raises(RepoUnknown, match="nobody/nothing"):
        find_checkpoint("nobody/nothing", None)
    with pytest.raises(UsageError, match="no directory, no name of the catalogue and no repository"):
        find_checkpoint("nothing", None)
    with pytest.raises(UsageError, match="a directory is what it is"):
        find_checkpoint(str(tmp_path), "main")
