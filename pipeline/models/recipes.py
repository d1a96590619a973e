"""Recipes: how the weights of a model's parts are stored, as the reference notebooks of each family do it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

Mode = Literal["int4_asym", "int4_sym", "int8_asym", "int8_sym", "none"]

LANGUAGE = "openvino_language_model"
VISION = "openvino_vision_embeddings_model"


@dataclass(frozen=True, kw_only=True)
class Weights:
    """How one part's weights are stored. Names and meanings are those of NNCF and optimum-intel."""

    mode: Mode
    """`none` leaves them as they are"""
    group_size: int = 128
    """weights that share a scale; -1 is a whole channel. For 4 bit only, as is what follows"""
    ratio: float = 1.0
    """share of the parameters that become 4 bit; the rest, by NNCF's choice, become 8 bit"""
    all_layers: bool = False
    """also the last layer and the embeddings, which stay in 8 bit otherwise"""
    awq: bool = False
    scale_estimation: bool = False
    dataset: str | None = None
    """what the data-aware ways look at; they need the checkpoint, not only its export"""

    @property
    def bits(self) -> int | None:
        return {"int4": 4, "int8": 8}.get(self.mode.partition("_")[0])

    @property
    def is_data_aware(self) -> bool:
        return self.awq or self.scale_estimation or self.dataset is not None

    def document(self) -> dict[str, Any]:
        """What of it says something: 8 bit has no groups."""
        told = asdict(self)
        return {name: told[name] for name in told if name == "mode" or self.bits == 4}


INT8 = Weights(mode="int8_sym")
AS_IT_IS = Weights(mode="none")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How each part of a model is stored."""

    name: str
    language: Weights
    vision: Weights = INT8
    others: Weights = INT8
    """text embeddings, mergers, resamplers, projections"""
    floats: Literal["fp16", "fp32"] = "fp16"
    """how a checkpoint is exported, before anything is compressed"""

    @property
    def compresses(self) -> bool:
        return any(part.bits for part in (self.language, self.vision, self.others))

    def part(self, stem: str) -> Weights:
        """For the sub-model whose files have this stem."""
        return {LANGUAGE: self.language, VISION: self.vision}.get(stem, self.others)

    def document(self) -> dict[str, Any]:
        """For the manifest."""
        parts = {"language": self.language, "vision": self.vision, "others": self.others}
        return {"name": self.name, **{part: weights.document() for part, weights in parts.items()}}


_ASYM = Weights(mode="int4_asym")
_SYM_64 = Weights(mode="int4_sym", group_size=64)
# All that an NPU takes: symmetric, groups of 128 or whole channels (for the larger models), everything in 4 bit.
_NPU = Weights(mode="int4_sym", group_size=128)
_NPU_LARGE = Weights(mode="int4_sym", group_size=-1)

RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(name="internvl2", language=_ASYM, vision=_ASYM),
        Recipe(name="internvl2-npu", language=_NPU),
        Recipe(name="qwen2-vl", language=_ASYM),
        Recipe(name="qwen2-vl-npu", language=_NPU),
        Recipe(name="minicpm-v", language=replace(_SYM_64, all_layers=True)),
        Recipe(name="minicpm-v-npu", language=_NPU_LARGE),
        Recipe(name="llava", language=replace(_ASYM, all_layers=True)),
        Recipe(name="llava-int8", language=Weights(mode="int8_asym")),
        Recipe(name="llava-npu", language=_NPU_LARGE),
        Recipe(name="phi-3-vision", language=replace(_SYM_64, ratio=0.6)),
        Recipe(name="phi-3-vision-npu", language=_NPU_LARGE),
        Recipe(name="int4", language=_ASYM),
        Recipe(name="int8", language=INT8),
        Recipe(name="fp16", language=AS_IT_IS, vision=AS_IT_IS, others=AS_IT_IS),
        Recipe(name="fp32", language=AS_IT_IS, vision=AS_IT_IS, others=AS_IT_IS, floats="fp32"),
    )
}
