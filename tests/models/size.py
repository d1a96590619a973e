"""How large a generated model is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Size:
    """Widths and depths of the language model and the vision tower, and how their weights are stored."""

    hidden: int = 64
    layers: int = 2
    heads: int = 4
    ffn: int = 128
    vision_width: int = 32
    vision_layers: int = 1
    vision_heads: int = 2
    vision_ffn: int = 64
    grid: int = 4
    """patches along a side of one crop or tile (even); Phi-3-vision's 24 are fixed by openvino-genai"""
    storage: str = "f32"
    """of the language model: f32, f16, i8 or i4"""
    vision_storage: str = "f32"


TINY = Size()

LARGE = Size(
    hidden=1024,
    layers=24,
    heads=16,
    ffn=2816,
    vision_width=1024,
    vision_layers=24,
    vision_heads=16,
    vision_ffn=4096,
    grid=24,
    storage="i4",
    vision_storage="i8",
)
"""0.6 billion parameters; LLaVA at this size has the vision tower of LLaVA 1.5 and the recipe's precisions."""
