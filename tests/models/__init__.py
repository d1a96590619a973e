"""Small random builds of the five model families, for tests and benchmarks.

What is real: the files of a build, the sub-models with their tensor names and shapes, positions (rotary, in
three rows for Qwen2-VL), attention masks, the KV cache, each family's image tokens, chat template and end
token; so openvino-genai loads them like any other build and every picture and question leaves its mark on
the answer. What is not: the weights. They are random numbers, nothing was trained, and the answers are
words without meaning. Nothing that is measured here says how good a model's answers are.

No torch and no transformers: the graphs are built operation by operation, the tokenizer's files are committed.
"""

from __future__ import annotations

from pathlib import Path

from tests.models.configs import end_id, write_configs, write_tokenizer
from tests.models.language import write_language
from tests.models.size import LARGE, TINY, Size
from tests.models.vision import write_vision

__all__ = ["FAMILIES", "LARGE", "TINY", "Size", "make", "make_large"]

FAMILIES = ("llava", "qwen2_vl", "internvl_chat", "minicpmv", "phi3_v")

_ENDING = 0.4


def make(family: str, folder: Path, *, seed: int = 0, size: Size = TINY, ending: float | None = _ENDING) -> Path:
    """Write a build into `folder` and return it. The same arguments give the same bytes.

    `ending` says how readily an answer ends, in standard deviations of a logit; with None, every answer is
    as long as it may be.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_language(folder, seed, size, end=end_id(family), ending=ending, mrope=family == "qwen2_vl")
    write_vision(family, folder, seed, size)
    write_configs(family, folder, seed, size)
    write_tokenizer(family, folder)
    return folder


def make_large(folder: Path, *, seed: int = 0) -> Path:
    """A LLaVA of 0.6 billion parameters, whose steps and pictures cost what those of a model in use cost."""
    return make("llava", folder, seed=seed, size=LARGE, ending=None)
