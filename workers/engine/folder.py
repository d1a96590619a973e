"""A model's folder: its files, and what its JSON files tell beside the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pipeline.errors import ModelBroken
from pipeline.models.builds import check_files, read_json


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
        check_files(folder)
        return cls(folder, read_json(folder / "config.json"), frozenset(_special_tokens(folder)))

    @property
    def encodes_alone(self) -> bool:
        """Whether a picture's encoding is finished before its question is known, so that questions can share it.

        Where a merger stands behind the encoder (Qwen2-VL and its kin) nearly all of the work is there, and it is
        done for each prompt as a whole. openvino-genai 2026.4 neither keeps nor takes what comes out of it:
        `add_request` accepts embeddings, but not the positions in three rows that belong to them.
        """
        return not (self.path / "openvino_vision_embeddings_merger_model.xml").exists()

    @property
    def context(self) -> int | None:
        """How many tokens a question and its answer may have together, or none if the model does not say."""
        places = [self.config.get(key) for key in ("text_config", "llm_config")] + [self.config]
        limits = [place.get("max_position_embeddings") for place in places if isinstance(place, dict)]
        return next((int(limit) for limit in limits if limit), None)


def _special_tokens(folder: Path) -> Iterator[str]:
    """Both spellings: tokenizer.json lists them, older tokenizers only have tokenizer_config.json."""
    try:
        listed = [*_optional(folder / "tokenizer.json").get("added_tokens", [])]
        listed += _optional(folder / "tokenizer_config.json").get("added_tokens_decoder", {}).values()
        yield from (str(token["content"]) for token in listed if token.get("special"))
    except (AttributeError, KeyError, TypeError) as error:
        raise ModelBroken(
            path=folder, why=f"its tokenizer's JSON files are not as they should be ({error!r})"
        ) from error


def _optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}
