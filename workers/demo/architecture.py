"""The demo model's architecture: a small LLaVA, made to be learned from nothing on a few cores."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from workers.demo.tokenizer import IMAGE

SIDE = 160
"""pixels of the square that every picture is warped to"""
PATCH = 16
GRID = SIDE // PATCH
PATCHES = GRID * GRID
VISION_WIDTH = 128
TEXT_WIDTH = 192
SMALL_OUTPUTS = ("o_proj", "down_proj", "fc2", "out_proj")
"""layers that write into the residual stream; they start at half strength"""


def build(tokenizer: Any) -> LlavaForConditionalGeneration:
    """The model with fresh weights, drawn from torch's generator."""
    vision = CLIPVisionConfig(
        hidden_size=VISION_WIDTH,
        intermediate_size=4 * VISION_WIDTH,
        projection_dim=VISION_WIDTH,
        num_hidden_layers=5,
        num_attention_heads=4,
        image_size=SIDE,
        patch_size=PATCH,
        hidden_act="gelu",
    )
    text = LlamaConfig(
        vocab_size=math.ceil(len(tokenizer) / 16) * 16,
        hidden_size=TEXT_WIDTH,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=6,
        num_key_value_heads=6,
        max_position_embeddings=1024,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        image_seq_length=PATCHES,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        projector_hidden_act="gelu",
        tie_word_embeddings=False,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = LlavaForConditionalGeneration(config)
    _start(model)
    return model


def _start(model: LlavaForConditionalGeneration) -> None:
    """Weights to start from. The usual 0.02 is tiny for layers this narrow."""
    for name, weight in model.named_parameters():
        if weight.ndim >= 2 and "embed_tokens" not in name and "position_embedding" not in name:
            strength = 0.5 if any(part in name for part in SMALL_OUTPUTS) else 1.0
            nn.init.normal_(weight, std=strength * weight[0].numel() ** -0.5)
    # CLIP's position table starts at 0.02 and is swamped by the patches: left and right stayed at chance.
    table = model.model.vision_tower.vision_model.embeddings.position_embedding.weight
    table.data[1:] += 0.5 * _waves(GRID, VISION_WIDTH)


def _waves(grid: int, width: int) -> Tensor:
    """Sines and cosines of row and column, from half a turn over the picture to one over two patches."""
    rows, columns = torch.meshgrid(torch.arange(grid) + 0.5, torch.arange(grid) + 0.5, indexing="ij")
    pitch = math.pi / grid * 2 ** torch.linspace(-1, math.log2(grid) - 0.5, width // 4)
    angles = [axis.reshape(-1, 1) * pitch for axis in (rows, columns)]
    return torch.cat([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], dim=1)


def _plain_attention(
    module: nn.Module, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scaling: float, **_: Any
) -> tuple[Tensor, None]:
    """Attention written out: 1.6 times as fast as torch's fused one, there and back, on a CPU at these sizes."""
    scores = torch.matmul(q * scaling, k.transpose(2, 3))
    if mask is not None:
        scores = scores + mask
    weights = torch.softmax(scores, -1, dtype=scores.dtype)
    return torch.matmul(weights, v).transpose(1, 2).contiguous(), None


ALL_ATTENTION_FUNCTIONS.register("plain", _plain_attention)


def attend(model: LlavaForConditionalGeneration, way: str) -> None:
    """Choose how attention is computed: "plain" to train, "sdpa" to save and export."""
    for part in (model, model.model, model.model.language_model, model.model.vision_tower.vision_model):
        part.config._attn_implementation = way
