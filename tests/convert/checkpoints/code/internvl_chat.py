"""InternVL2: a vision transformer, four patches folded into one token, and a language model.

A tile of the picture becomes `<img>`, as many `<IMG_CONTEXT>` as the tile has tokens, and `</img>`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel, Qwen2Config, Qwen2ForCausalLM
from transformers.feature_extraction_utils import BatchFeature
from transformers.processing_utils import ProcessorMixin

PICTURE, START, CONTEXT, END = "<image>", "<img>", "<IMG_CONTEXT>", "</img>"
FOLD = 2
"""patches along a side of one token: 1 / downsample_ratio"""


class InternVisionConfig(PretrainedConfig):
    model_type = "intern_vit_6b"

    def __init__(
        self,
        hidden_size: int = 128,
        intermediate_size: int = 256,
        num_hidden_layers: int = 2,
        num_attention_heads: int = 4,
        num_channels: int = 3,
        image_size: int = 56,
        patch_size: int = 14,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.hidden_size, self.intermediate_size = hidden_size, intermediate_size
        self.num_hidden_layers, self.num_attention_heads = num_hidden_layers, num_attention_heads
        self.num_channels, self.image_size, self.patch_size = num_channels, image_size, patch_size


class InternVLChatConfig(PretrainedConfig):
    model_type = "internvl_chat"
    sub_configs = {"llm_config": Qwen2Config, "vision_config": InternVisionConfig}  # noqa: RUF012

    def __init__(
        self,
        llm_config: dict[str, Any] | None = None,
        vision_config: dict[str, Any] | None = None,
        img_context_token_id: int | None = None,
        **settings: Any,
    ) -> None:
        self.llm_config = Qwen2Config(**(llm_config or {}))
        self.vision_config = InternVisionConfig(**(vision_config or {}))
        self.img_context_token_id = img_context_token_id
        self.downsample_ratio = 1 / FOLD
        super().__init__(**settings)

    @property
    def tokens(self) -> int:
        """of one tile"""
        return (self.vision_config.image_size // self.vision_config.patch_size // FOLD) ** 2


class Attention(nn.Module):
    use_flash_attn = False  # the exporter asks

    def __init__(self, config: InternVisionConfig) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, states: Tensor) -> Tensor:
        query, key, value = self.qkv(states).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = scaled_dot_product_attention(query, key, value)
        return self.proj(seen.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    def __init__(self, config: InternVisionConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ls1, self.ls2 = nn.Parameter(torch.ones(width)), nn.Parameter(torch.ones(width))
        self.attn = Attention(config)
        self.mlp = nn.Sequential(
            nn.Linear(width, config.intermediate_size), nn.GELU(), nn.Linear(config.intermediate_size, width)
        )

    def forward(self, states: Tensor) -> Tensor:
        states = states + self.ls1 * self.attn(self.norm1(states))
        return states + self.ls2 * self.mlp(self.norm2(states))


class Embeddings(nn.Module):
    """Patches behind a class token, each with its place."""

    def __init__(self, config: InternVisionConfig) -> None:
        super().__init__()
        width, patches = config.hidden_size, (config.image_size // config.patch_size) ** 2
        self.class_embedding = nn.Parameter(torch.zeros(1, 1, width))
        self.patch_embedding = nn.Conv2d(config.num_channels, width, config.patch_size, config.patch_size)
        self.position_embedding = nn.Parameter(torch.zeros(1, 1 + patches, width))

    def forward(self, pixel_values: Tensor) -> Tensor:
        patches = self.patch_embedding(pixel_values).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(patches.shape[0], -1, -1)
        return torch.cat([first, patches], 1) + self.position_embedding


class Encoder(nn.Module):
    def __init__(self, config: InternVisionConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))

    def forward(self, states: Tensor) -> Tensor:
        for layer in self.layers:
            states = layer(states)
        return states


class VisionModel(nn.Module):
    def __init__(self, config: InternVisionConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)

    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.encoder(self.embeddings(pixel_values))[:, 1:]


class InternVLChatModel(PreTrainedModel, GenerationMixin):
    config_class = InternVLChatConfig
    base_model_prefix = "language_model"
    main_input_name = "pixel_values"
    _supports_sdpa = True

    def __init__(self, config: InternVLChatConfig) -> None:
        super().__init__(config)
        folded, width = config.vision_config.hidden_size * FOLD**2, config.llm_config.hidden_size
        self.vision_model = VisionModel(config.vision_config)
        self.language_model = Qwen2ForCausalLM(config.llm_config)
        self.mlp1 = nn.Sequential(nn.LayerNorm(folded), nn.Linear(folded, width), nn.GELU(), nn.Linear(width, width))
        self.post_init()

    def extract_feature(self, pixel_values: Tensor) -> Tensor:
        """[tiles, 3, height, width] -> [tiles, tokens, width of the language model]"""
        return self.mlp1(fold(self.vision_model(pixel_values)))

    @torch.no_grad()
    def generate(
        self, input_ids: Tensor, pixel_values: Tensor, attention_mask: Tensor | None = None, **settings: Any
    ) -> Any:
        embeds = self.language_model.get_input_embeddings()(input_ids)
        embeds[input_ids == self.config.img_context_token_id] = self.extract_feature(pixel_values).flatten(0, 1)
        return self.language_model.generate(inputs_embeds=embeds, attention_mask=attention_mask, **settings)


def fold(patches: Tensor) -> Tensor:
    """Pixel shuffle: neighbouring patches become one wider one."""
    side = int(patches.shape[1] ** 0.5) // FOLD
    grid = patches.unflatten(1, (side, FOLD, side, FOLD)).transpose(2, 3)
    return grid.flatten(3).flatten(1, 2)


class InternVLChatProcessor(ProcessorMixin):
    attributes = ["image_processor", "tokenizer"]  # noqa: RUF012
    valid_kwargs = ["chat_template", "tokens"]  # noqa: RUF012
    image_processor_class = "CLIPImageProcessor"
    tokenizer_class = "AutoTokenizer"

    def __init__(
        self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None, tokens: int = 4
    ) -> None:
        self.tokens = tokens
        super().__init__(image_processor, tokenizer, chat_template=chat_template)

    def __call__(self, text: str, images: list[Any], return_tensors: str) -> BatchFeature:
        tile = START + self.tokens * CONTEXT + END
        words = self.tokenizer(text.replace(PICTURE, tile), return_tensors=return_tensors)
        return BatchFeature({**words, **self.image_processor(images, return_tensors=return_tensors)})


InternVLChatConfig.register_for_auto_class()
InternVLChatModel.register_for_auto_class("AutoModelForCausalLM")
InternVLChatProcessor.register_for_auto_class("AutoProcessor")
