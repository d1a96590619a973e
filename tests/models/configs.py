"""The JSON files of a build: what openvino-genai and Hugging Face's tools read beside the IR."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.models.size import Size
from tests.models.vision import MERGE, PATCH, PHI3_WIDTH, POSITIONS, QUERIES
from tests.models.vocabulary import FILES, IDS, TOKENS

_TEMPLATES = Path(__file__).parent / "templates"
_CLIP = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "rescale_factor": 1 / 255,
}

Json = dict[str, Any]


def end_id(family: str) -> int:
    """The token that ends an answer."""
    return IDS[_FAMILIES[family].end]


def write_configs(family: str, folder: Path, seed: int, size: Size) -> None:
    kind = _FAMILIES[family]
    tokens = {"eos_token_id": end_id(family), "pad_token_id": IDS["<pad>"], "bos_token_id": IDS["<s>"]}
    _write(folder / "config.json", {"model_type": family, **tokens, **kind.model(size, seed)})
    _write(folder / "generation_config.json", {**tokens, "do_sample": False})
    _write(folder / "preprocessor_config.json", kind.preprocessor(size))


def write_tokenizer(family: str, folder: Path) -> None:
    for file in sorted(FILES.iterdir()):
        shutil.copyfile(file, folder / file.name)
    kind = _FAMILIES[family]
    names = {"eos_token": kind.end, "pad_token": "<pad>", "bos_token": "<s>", "unk_token": "<unk>"}
    _write(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **names})
    shutil.copyfile(_TEMPLATES / kind.template, folder / "chat_template.jinja")


def _llava(size: Size, seed: int) -> Json:
    return {"text_config": _language(size), "vision_config": _vision(size), "image_token_index": IDS["<image>"]}


def _qwen2(size: Size, seed: int) -> Json:
    return {**_language(size), "vision_config": {**_vision(size), "spatial_merge_size": MERGE}}


def _internvl(size: Size, seed: int) -> Json:
    return {"llm_config": _language(size), "vision_config": _vision(size), "downsample_ratio": 1 / MERGE}


def _minicpm(size: Size, seed: int) -> Json:
    return {**_language(size), "vision_config": _vision(size), "query_num": QUERIES, "use_image_id": True}


def _phi3(size: Size, seed: int) -> Json:
    """With the learned vectors between rows and between crops, which Phi-3-vision keeps in its config."""
    row, crop = np.random.default_rng(seed).standard_normal((2, MERGE**2 * PHI3_WIDTH)).round(2).tolist()
    return {**_language(size), "sub_GN": [[[row]]], "glb_GN": [[crop]]}


def _language(size: Size) -> Json:
    return {
        "hidden_size": size.hidden,
        "intermediate_size": size.ffn,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "max_position_embeddings": 4096,
        "vocab_size": len(TOKENS),
    }


def _vision(size: Size) -> Json:
    return {"hidden_size": size.vision_width, "num_hidden_layers": size.vision_layers, "patch_size": PATCH}


def _cropped(size: Size) -> Json:
    side = PATCH * size.grid
    # openvino-genai reads nothing of "size" but its shortest edge.
    return {**_CLIP, "crop_size": {"height": side, "width": side}, "size": {"shortest_edge": side}}


def _bounded(size: Size) -> Json:
    least = (PATCH * size.grid) ** 2
    patches = {"patch_size": PATCH, "temporal_patch_size": 2, "merge_size": MERGE}
    return {**_CLIP, "min_pixels": least, "max_pixels": 4 * least, **patches}


def _sliced(size: Size) -> Json:
    slices = {"scale_resolution": PATCH * size.grid, "max_slice_nums": 4, "image_feature_size": QUERIES}
    norms = {"norm_mean": [0.5] * 3, "norm_std": [0.5] * 3}
    return {"image_size": POSITIONS * PATCH, "patch_size": PATCH, **slices, **norms}


def _padded(size: Size) -> Json:
    return {**_CLIP, "num_crops": 1, "num_img_tokens": 144}


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")


@dataclass(frozen=True)
class _Family:
    end: str
    template: str
    model: Callable[[Size, int], Json]
    preprocessor: Callable[[Size], Json]


_FAMILIES = {
    "llava": _Family("</s>", "llava.jinja", _llava, _cropped),
    "qwen2_vl": _Family("<|im_end|>", "chatml.jinja", _qwen2, _bounded),
    "internvl_chat": _Family("<|im_end|>", "chatml.jinja", _internvl, _cropped),
    "minicpmv": _Family("<|im_end|>", "chatml.jinja", _minicpm, _sliced),
    "phi3_v": _Family("<|end|>", "phi3_v.jinja", _phi3, _padded),
}
