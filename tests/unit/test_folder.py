from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.errors import ModelBroken
from tests.models import make
from workers.engine.folder import ModelFolder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make("llava", tmp_path)


@pytest.mark.parametrize("name", ["openvino_tokenizer.xml", "preprocessor_config.json", "config.json"])
def test_a_missing_file_is_named(path: Path, name: str) -> None:
    (path / name).unlink()
    with pytest.raises(ModelBroken, match=f"{name} is missing"):
        ModelFolder.open(str(path))


def test_a_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(ModelBroken, match="no such directory"):
        ModelFolder.open(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("content", ["{", "[]", "\xff"])
def test_a_broken_config_is_named(path: Path, content: str) -> None:
    (path / "config.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(ModelBroken, match=r"config\.json"):
        ModelFolder.open(str(path))


@pytest.mark.parametrize(
    ("config", "context"),
    [
        ({}, None),
        ({"max_position_embeddings": 10}, 10),
        ({"text_config": {"max_position_embeddings": 20}, "max_position_embeddings": 10}, 20),
        ({"llm_config": {"max_position_embeddings": 30}}, 30),
        ({"text_config": None, "max_position_embeddings": 10}, 10),
    ],
)
def test_the_context_is_the_language_models(path: Path, config: dict[str, object], context: int | None) -> None:
    (path / "config.json").write_text(json.dumps({"model_type": "llava", **config}))
    assert ModelFolder.open(str(path)).context == context


def test_special_tokens_come_from_both_tokenizer_files(path: Path) -> None:
    tokens = [{"content": "<a>", "special": True}, {"content": "  ", "special": False}]
    (path / "tokenizer.json").write_text(json.dumps({"added_tokens": tokens}))
    older = {"added_tokens_decoder": {"7": {"content": "<b>", "special": True}}}
    (path / "tokenizer_config.json").write_text(json.dumps(older))
    assert ModelFolder.open(str(path)).special_tokens == {"<a>", "<b>"}


def test_tokenizer_files_are_not_needed(path: Path) -> None:
    (path / "tokenizer.json").unlink()
    (path / "tokenizer_config.json").unlink()
    assert ModelFolder.open(str(path)).special_tokens == frozenset()


@pytest.mark.parametrize("tokens", ['[{"special": true}]', '["<a>"]', "3"])
def test_a_tokenizer_file_of_another_shape_is_a_broken_model(path: Path, tokens: str) -> None:
    (path / "tokenizer.json").write_text(f'{{"added_tokens": {tokens}}}')
    with pytest.raises(ModelBroken, match="tokenizer"):
        ModelFolder.open(str(path))
