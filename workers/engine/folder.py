"""A model's folder: its files, and what its JSON files tell beside the weights."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pipeline.errors import ModelBroken

_PARTS = (
    "openvino_language_model",
    "openvino_text_embeddings_model",
    "openvino_vision_embeddings_model",
    "openvino_tokenizer",
    "openvino_detokenizer",
)
# Without preprocessor_config.json openvino-genai falls back to its own picture sizes and answers wrongly.
NEEDED = (*(part + ending for part in _PARTS for ending in (".xml", ".bin")), "config.json", "preprocessor_config.json")


@dataclass(frozen=True)
class ModelFolder:
    """What of a model's folder the engine reads itself."""

    path: Path
    config: Mapping[str, Any]
    special_tokens: frozenset[str]
    """texts the tokenizer turns into control tokens wherever they stand"""

    @classmethod
    def open(cls, path: str) -> Self:
        folder = Path(path)
        if not folder.is_dir():
            raise ModelBroken(path=path, why="there is no such directory")
        missing = [name for name in NEEDED if not (folder / name).is_file()]
        if missing:
            raise ModelBroken(path=path, why=f"it lacks {', '.join(missing)}")
        return cls(folder, _read(folder / "config.json"), frozenset(_special_tokens(folder)))

    @property
    def context(self) -> int | None:
        """How many tokens a question and its answer may have together, or none if the model does not say."""
        places = [self.config.get(key) for key in ("text_config", "llm_config")] + [self.config]
        limits = [place.get("max_position_embeddings") for place in places if isinstance(place, dict)]
        return next((int(limit) for limit in limits if limit), None)


def _special_tokens(folder: Path) -> Iterator[str]:
    """Both spellings: tokenizer.json lists them, older tokenizers only have tokenizer_config.json."""
    listed = _optional(folder / "tokenizer.json").get("added_tokens", [])
    listed += _optional(folder / "tokenizer_config.json").get("added_tokens_decoder", {}).values()
    return (token["content"] for token in listed if token.get("special"))


def _optional(path: Path) -> dict[str, Any]:
    return _read(path) if path.exists() else {}


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelBroken(path=str(path.parent), why=f"{path.name} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ModelBroken(path=str(path.parent), why=f"{path.name} holds no JSON object")
    return content
