"""MiniCPM-V 2.6: a SigLIP tower over pictures of any shape, a resampler, and a language model.

The tower gets a picture as a row of patches, with each patch's place in a table of 70 x 70. The resampler's learned
queries look at the patches, which brings every picture to the same number of tokens. In the text it is written as
its number, `<image>`, as many `<unk>` as there are queries, and `</image>`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import GenerationMixin, Qwen2Config, Qwen2ForCausalLM, SiglipVisionConfig
from transformers.feature_extraction_utils import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor
from transformers.modeling_attn_mask_utils import _prepare_4d_attention_mask
from transformers.modeling_utils import PreTrainedModel
from transformers.models.siglip.modeling_siglip import SiglipVisionTransformer
from transformers.processing_utils import ProcessorMixin

PICTURE = "<image>./</image>"
TOKEN = "<unk>"


class MiniCPMVConfig(Qwen2Config):
    """Of the language model, with what the pictures need besides."""

    model_type = "minicpmv"

    def __init__(
        self,
        vision_config: dict[str, Any] | None = None,
        query_num: int = 64,
        patch_size: int = 14,
        use_image_id: bool = True,
        image_token_id: int | None = None,
        **settings: Any,
    ) -> None:
        self.vision_config = SiglipVisionConfig(**(vision_config or {}))
        self.query_num, self.patch_size = query_num, patch_size
        self.use_image_id, self.image_token_id = use_image_id, image_token_id
        super().__init__(**settings)


class VisionTower(SiglipVisionTransformer):
    def forward(self, pixel_values: Tensor, patch_attention_mask: Tensor, position_ids: Tensor) -> Tensor:
        patches = self.embeddings.patch_embedding(pixel_values).flatten(2).transpose(1, 2)
        placed = patches + self.embeddings.position_embedding(position_ids)
        mask = _prepare_4d_attention_mask(patch_attention_mask.flatten(1), placed.dtype)
        return self.post_layernorm(self.encoder(placed, attention_mask=mask).last_hidden_state)


class Resampler(nn.Module):
    def __init__(self, queries: int, width: int, heads: int, vision_width: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(queries, width))
        self.kv_proj = nn.Linear(vision_width, width, bias=False)
        self.attn = nn.MultiheadAttention(width, heads)
        self.ln_q, self.ln_kv, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.proj = nn.Parameter(torch.zeros(width, width))

    def forward(self, image_feature: Tensor, pos_embed: Tensor, key_padding_mask: Tensor) -> Tensor:
        """`pos_embed` is [patches, pictures, width], and the mask is true where nothing is to be seen."""
        content = self.ln_kv(self.kv_proj(image_feature)).transpose(0, 1)
        queries = self.ln_q(self.query).unsqueeze(1).expand(-1, content.shape[1], -1)
        seen, _ = self.attn(queries, content + pos_embed, content, key_padding_mask=key_padding_mask)
        return self.ln_post(seen.transpose(0, 1)) @ self.proj


class MiniCPMV(PreTrainedModel, GenerationMixin):
    config_class = MiniCPMVConfig
    base_model_prefix = "llm"
    _supports_sdpa = True

    def __init__(self, config: MiniCPMVConfig) -> None:
        super().__init__(config)
        self.vpm = VisionTower(config.vision_config)
        self.resampler = Resampler(
            config.query_num, config.hidden_size, config.num_attention_heads, config.vision_config.hidden_size
        )
        self.llm = Qwen2ForCausalLM(config)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.llm.get_input_embeddings()

    def look(self, pixel_values: Tensor, rows: int, columns: int) -> Tensor:
        """A picture's tokens: [1, 3, patch, patches * patch] -> [queries, width]"""
        everything = torch.ones(1, 1, rows * columns)
        features = self.vpm(pixel_values, everything, self._places(rows, columns))
        waves = grid_of_waves(rows, columns, self.config.hidden_size)
        return self.resampler(features, waves.unsqueeze(1), everything[:, 0] == 0)[0]

    def _places(self, rows: int, columns: int) -> Tensor:
        """Where the patches lie in the table, which every picture fills from edge to edge."""
        vision = self.config.vision_config
        side = vision.image_size // vision.patch_size
        down, across = (torch.arange(count) * side // count for count in (rows, columns))
        return (down[:, None] * side + across).flatten().unsqueeze(0)

    @torch.no_grad()
    def generate(
        self,
        input_ids: Tensor,
        pixel_values: list[Tensor],
        tgt_sizes: Tensor,
        attention_mask: Tensor | None = None,
        **settings: Any,
    ) -> Any:
        embeds = self.get_input_embeddings()(input_ids)
        seen = [self.look(row, *size) for row, size in zip(pixel_values, tgt_sizes.tolist(), strict=True)]
        embeds[input_ids == self.config.image_token_id] = torch.cat(seen)
        return self.llm.generate(inputs_embeds=embeds, attention_mask=attention_mask, **settings)


def grid_of_waves(rows: int, columns: int, width: int) -> Tensor:
    """Sines and cosines of each patch's column, then of its row: [patches, width]"""
    speeds = 10000.0 ** (-torch.arange(width // 4) / (width // 4))
    down, across = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    angles = (place.flatten()[:, None] * speeds for place in (across, down))
    return torch.cat([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], 1)


class MiniCPMVImageProcessor(BaseImageProcessor):
    model_input_names = ["pixel_values", "tgt_sizes"]  # noqa: RUF012

    def __init__(
        self,
        image_size: int = 980,
        patch_size: int = 14,
        scale_resolution: int = 56,
        max_slice_nums: int = 4,
        norm_mean: tuple[float, ...] = (0.5, 0.5, 0.5),
        norm_std: tuple[float, ...] = (0.5, 0.5, 0.5),
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.image_size, self.patch_size = image_size, patch_size
        self.scale_resolution, self.max_slice_nums = scale_resolution, max_slice_nums
        self.norm_mean, self.norm_std = norm_mean, norm_std

    def preprocess(self, images: list[Any], **_: Any) -> BatchFeature:
        rows, sizes = zip(*(self._row(np.asarray(image, np.float32) / 255) for image in images), strict=True)
        return BatchFeature({"pixel_values": list(rows), "tgt_sizes": torch.tensor(sizes)})

    def _row(self, picture: np.ndarray) -> tuple[Tensor, tuple[int, int]]:
        """The patches side by side, and how many rows and columns they came from."""
        height, width, _ = picture.shape
        if height * width != self.scale_resolution**2 or height % self.patch_size or width % self.patch_size:
            raise ValueError(f"{width} x {height}: only pictures that need no resizing or slicing are taken.")
        values = torch.tensor((picture - self.norm_mean) / self.norm_std, dtype=torch.float32)
        grid = values.unflatten(0, (-1, self.patch_size)).unflatten(2, (-1, self.patch_size))
        row = grid.permute(4, 1, 0, 2, 3).flatten(2)
        return row.unsqueeze(0), (height // self.patch_size, width // self.patch_size)


class MiniCPMVProcessor(ProcessorMixin):
    attributes = ["image_processor", "tokenizer"]  # noqa: RUF012
    valid_kwargs = ["chat_template", "query_num"]  # noqa: RUF012
    image_processor_class = "AutoImageProcessor"
    tokenizer_class = "AutoTokenizer"

    def __init__(
        self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None, query_num: int = 64
    ) -> None:
        self.query_num = query_num
        super().__init__(image_processor, tokenizer, chat_template=chat_template)

    def __call__(self, text: str, images: list[Any], **_: Any) -> BatchFeature:
        words = self.tokenizer("".join(self._written(text)), return_tensors="pt")
        return BatchFeature({**words, **self.image_processor(images)})

    def _written(self, text: str) -> Iterator[str]:
        first, *others = text.split(PICTURE)
        yield first
        for number, words in enumerate(others):
            yield f"<image_id>{number}</image_id><image>{self.query_num * TOKEN}</image>{words}"


MiniCPMVConfig.register_for_auto_class()
MiniCPMV.register_for_auto_class("AutoModelForCausalLM")
MiniCPMVImageProcessor.register_for_auto_class("AutoImageProcessor")
MiniCPMVProcessor.register_for_auto_class("AutoProcessor")
