"""The families Pixmill knows recipes for, and their well-known checkpoints: data from which the rest chooses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.prompts import Defaults

CAPTION = "Describe this picture in one or two sentences."
BRIEFLY = Defaults(caption=CAPTION)
"""unasked, models of these families describe a picture in paragraphs"""


@dataclass(frozen=True, kw_only=True)
class Family:
    """Models of one architecture."""

    model_type: str
    """as config.json names it"""
    title: str
    recipe: str
    npu_recipe: str
    defaults: Defaults = BRIEFLY
    own_code: bool = False
    """its checkpoints carry modelling code of their own, which conversion runs"""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A published model."""

    name: str
    """what a person types"""
    repo: str
    """on the Hugging Face hub"""
    family: str
    parameters: str
    licence: str
    builds: Mapping[str, str] = field(default_factory=dict)
    """repositories with ready OpenVINO builds, by weight format"""


FAMILIES: Mapping[str, Family] = {
    family.model_type: family
    for family in (
        Family(
            model_type="internvl_chat",
            title="InternVL2",
            recipe="internvl2",
            npu_recipe="internvl2-npu",
            own_code=True,
        ),
        Family(model_type="qwen2_vl", title="Qwen2-VL", recipe="qwen2-vl", npu_recipe="qwen2-vl-npu"),
        Family(
            model_type="minicpmv",
            title="MiniCPM-V 2.6",
            recipe="minicpm-v",
            npu_recipe="minicpm-v-npu",
            own_code=True,
        ),
        Family(
            model_type="llava",
            title="LLaVA 1.5",
            recipe="llava",
            npu_recipe="llava-npu",
            defaults=Defaults(caption=CAPTION, most_pictures=1),  # it was trained with one picture at a time
        ),
        Family(
            model_type="phi3_v",
            title="Phi-3-vision, Phi-3.5-vision",
            recipe="phi-3-vision",
            npu_recipe="phi-3-vision-npu",
            own_code=True,
        ),
    )
}


def _ready(name: str) -> dict[str, str]:
    return {width: f"OpenVINO/{name}-{width}-ov" for width in ("int4", "int8", "fp16")}


def _internvl2(size: str, parameters: str) -> Checkpoint:
    return Checkpoint(
        name=f"internvl2-{size.lower()}",
        repo=f"OpenGVLab/InternVL2-{size}",
        family="internvl_chat",
        parameters=parameters,
        licence="mit",
        builds=_ready(f"InternVL2-{size}"),
    )


CHECKPOINTS: Mapping[str, Checkpoint] = {
    checkpoint.name: checkpoint
    for checkpoint in (
        _internvl2("1B", "0.9 B"),
        _internvl2("2B", "2.2 B"),
        _internvl2("4B", "4.2 B"),
        _internvl2("8B", "8.1 B"),
        Checkpoint(
            name="qwen2-vl-2b",
            repo="Qwen/Qwen2-VL-2B-Instruct",
            family="qwen2_vl",
            parameters="2.2 B",
            licence="apache-2.0",
        ),
        Checkpoint(
            name="qwen2-vl-7b",
            repo="Qwen/Qwen2-VL-7B-Instruct",
            family="qwen2_vl",
            parameters="8.3 B",
            licence="apache-2.0",
        ),
        Checkpoint(
            name="minicpm-v-2.6",
            repo="openbmb/MiniCPM-V-2_6",
            family="minicpmv",
            parameters="8.1 B",
            licence="MiniCPM Model License",
        ),
        Checkpoint(
            name="llava-1.5-7b",
            repo="llava-hf/llava-1.5-7b-hf",
            family="llava",
            parameters="7.1 B",
            licence="llama2",
        ),
        Checkpoint(
            name="phi-3-vision",
            repo="microsoft/Phi-3-vision-128k-instruct",
            family="phi3_v",
            parameters="4.1 B",
            licence="mit",
        ),
        Checkpoint(
            name="phi-3.5-vision",
            repo="microsoft/Phi-3.5-vision-instruct",
            family="phi3_v",
            parameters="4.1 B",
            licence="mit",
            builds=_ready("Phi-3.5-vision-instruct"),
        ),
    )
}


def way(name: str) -> str | None:
    """The command that brings a published model here: its ready build is pulled, any other is converted."""
    if any(name in checkpoint.builds.values() for checkpoint in CHECKPOINTS.values()):
        return "pull"
    checkpoint = find(name)
    if checkpoint is None:
        return None
    return "pull" if checkpoint.builds and name == checkpoint.name else "convert"


def find(name: str) -> Checkpoint | None:
    """A checkpoint by its name or its repository."""
    if name in CHECKPOINTS:
        return CHECKPOINTS[name]
    return next((checkpoint for checkpoint in CHECKPOINTS.values() if checkpoint.repo == name), None)
