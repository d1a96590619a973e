"""Phi-3-vision: a CLIP tower over the whole picture and over crops of it, a projection, and a language model.

Each crop's 24 x 24 patches are folded to 12 x 12, a learned vector ends every row, and another one parts the crops
from the whole picture. The projection brings this sequence to the language model, in place of `<|image_1|>`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPVisionModel, Phi3Config, Phi3ForCausalLM
from transformers.feature_extraction_utils import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor
from transformers.processing_utils import ProcessorMixin

PICTURE = re.compile(r"<\|image_\d+\|>")
PLACE = -1
"""stands in input_ids for a token of a picture"""
SIDE, GRID, FOLD = 336, 24, 2
TOKENS = GRID // FOLD
"""along a side of one crop"""


class Phi3VConfig(Phi3Config):
    """Of the language model, with what the pictures need besides."""

    model_type = "phi3_v"

    def __init__(
        self, img_processor: dict[str, Any] | None = None, embd_layer: dict[str, Any] | None = None, **settings: Any
    ) -> None:
        self.img_processor, self.embd_layer = img_processor, embd_layer
        super().__init__(**settings)


class ImageEmbedding(nn.Module):
    def __init__(self, config: Phi3VConfig) -> None:
        super().__init__()
        tower = CLIPConfig.from_pretrained(config.img_processor["model_name"]).vision_config
        wide, width = tower.hidden_size * FOLD**2, config.hidden_size
        self.img_processor = CLIPVisionModel(tower)
        self.img_projection = nn.Sequential(nn.Linear(wide, width), nn.GELU(), nn.Linear(width, width))
        self.sub_GN = nn.Parameter(torch.zeros(1, 1, 1, wide))
        self.glb_GN = nn.Parameter(torch.zeros(1, 1, wide))

    def get_img_features(self, pixel_values: Tensor) -> Tensor:
        """[crops, 3, 336, 336] -> [crops, patches, width of the tower], from the last layer but one"""
        return self.img_processor(pixel_values, output_hidden_states=True).hidden_states[-2][:, 1:]

    def forward(self, pixel_values: Tensor, down: int, across: int) -> Tensor:
        """The tokens of a picture, whose crops lie in a grid of `down` by `across` behind the whole picture."""
        whole, crops = self.get_img_features(pixel_values).split([1, down * across])
        parts = [self._rows(crops, down, across), self.glb_GN, self._rows(whole, 1, 1)]
        return self.img_projection(torch.cat(parts, 1))[0]

    def _rows(self, patches: Tensor, down: int, across: int) -> Tensor:
        grid = patches.unflatten(1, (TOKENS, FOLD, TOKENS, FOLD)).unflatten(0, (down, across))
        folded = grid.permute(0, 2, 1, 4, 3, 5, 6).flatten(4).flatten(2, 3).flatten(0, 1)
        ends = self.sub_GN[0].expand(folded.shape[0], -1, -1)
        return torch.cat([folded, ends], 1).flatten(0, 1).unsqueeze(0)


class Phi3VForCausalLM(Phi3ForCausalLM):
    config_class = Phi3VConfig

    def __init__(self, config: Phi3VConfig) -> None:
        super().__init__(config)
        self.model.vision_embed_tokens = ImageEmbedding(config)
        self.post_init()

    @torch.no_grad()
    def generate(
        self,
        input_ids: Tensor,
        pixel_values: Tensor,
        image_sizes: Tensor,
        attention_mask: Tensor | None = None,
        **settings: Any,
    ) -> Any:
        embeds = self.model.embed_tokens(input_ids.clamp(min=0))
        sizes = (image_sizes // SIDE).tolist()
        seen = [self.model.vision_embed_tokens(crops, *size) for crops, size in zip(pixel_values, sizes, strict=True)]
        embeds[input_ids == PLACE] = torch.cat(seen)
        return super().generate(inputs_embeds=embeds, attention_mask=attention_mask, **settings)


class Phi3VImageProcessor(BaseImageProcessor):
    model_input_names = ["pixel_values", "image_sizes"]  # noqa: RUF012

    def __init__(
        self,
        num_crops: int = 1,
        num_img_tokens: int = TOKENS**2,
        image_mean: tuple[float, ...] = (0.48145466, 0.4578275, 0.40821073),
        image_std: tuple[float, ...] = (0.26862954, 0.26130258, 0.27577711),
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.num_crops, self.num_img_tokens = num_crops, num_img_tokens
        self.image_mean, self.image_std = image_mean, image_std

    def preprocess(self, images: list[Image.Image], **_: Any) -> BatchFeature:
        """The whole picture and its one crop, which are the same at this size."""
        for image in images:
            if image.size != (SIDE, SIDE):
                raise ValueError(f"{image.width} x {image.height}: only pictures of {SIDE} x {SIDE} are taken.")
        values = (
            np.stack([np.asarray(image, np.float32) for image in images]) / 255 - self.image_mean
        ) / self.image_std
        crops = torch.tensor(values, dtype=torch.float32).permute(0, 3, 1, 2)
        sizes = torch.full((len(images), 2), SIDE)
        return BatchFeature({"pixel_values": torch.stack([crops, crops], 1), "image_sizes": sizes})


class Phi3VProcessor(ProcessorMixin):
    attributes = ["image_processor", "tokenizer"]  # noqa: RUF012
    image_processor_class = "AutoImageProcessor"
    tokenizer_class = "AutoTokenizer"

    def __call__(self, text: str, images: list[Any], **_: Any) -> BatchFeature:
        pictures = self.image_processor(images)
        ids = torch.tensor([list(self._ids(text, pictures["image_sizes"] // SIDE))])
        return BatchFeature({"input_ids": ids, "attention_mask": torch.ones_like(ids), **pictures})

    def _ids(self, text: str, grids: Tensor) -> Iterator[int]:
        first, *others = PICTURE.split(text)
        yield from self.tokenizer(first).input_ids
        for (down, across), words in zip(grids.tolist(), others, strict=True):
            yield from [PLACE] * (rows(down, across) + 1 + rows(1, 1))
            yield from self.tokenizer(words).input_ids


def rows(down: int, across: int) -> int:
    """How many tokens a grid of crops takes, with the vectors that end its rows."""
    return down * TOKENS * (across * TOKENS + 1)


Phi3VConfig.register_for_auto_class()
Phi3VForCausalLM.register_for_auto_class("AutoModelForCausalLM")
Phi3VImageProcessor.register_for_auto_class("AutoImageProcessor")
Phi3VProcessor.register_for_auto_class("AutoProcessor")
