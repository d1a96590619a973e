"""What a checkpoint of each family is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    GenerationConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedModel,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
)

from tests.convert.checkpoints.code import internvl_chat, minicpmv, phi3_v
from tests.convert.checkpoints.tokenizer import make_tokenizer
from tests.models.configs import end_id
from tests.models.vocabulary import IDS, TOKENS

SIDE, PATCH = 56, 14
"""of a picture, or of a tile of it, in pixels"""

Parts = tuple[PreTrainedModel, Sequence[Any]]
"""the model, and what prepares its text and pictures"""

LANGUAGE: Mapping[str, Any] = {
    "vocab_size": len(TOKENS),
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
}
# As in the published Qwen2 models, several heads share keys and values.
GROUPED: Mapping[str, Any] = {**LANGUAGE, "num_key_value_heads": 2}
# As in the published Phi-3-vision models, which turn the positions of long prompts by other factors than short ones.
LONG: Mapping[str, Any] = {
    "max_position_embeddings": 131072,
    "original_max_position_embeddings": 4096,
    "rope_scaling": {
        "type": "longrope",
        "short_factor": [1 + place / 16 for place in range(16)],
        "long_factor": [1 + 2 * place for place in range(16)],
    },
}
TOWER: Mapping[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "patch_size": PATCH,
}


def llava(_: Path) -> Parts:
    config = LlavaConfig(
        # The family takes the last layer but one.
        vision_config={**TOWER, "model_type": "clip_vision_model", "num_hidden_layers": 3, "image_size": SIDE},
        text_config={**LANGUAGE, "model_type": "llama"},
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        image_token_index=IDS["<image>"],
        image_seq_length=(SIDE // PATCH) ** 2,
        **tokens("llava"),
    )
    tokenizer = make_tokenizer("llava")
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=SIDE),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token="<image>",
        chat_template=tokenizer.chat_template,
    )
    return answering(LlavaForConditionalGeneration(config), "llava"), [processor]


def qwen2_vl(_: Path) -> Parts:
    """Without its processor, which needs torchvision for videos."""
    vision = {"depth": 2, "embed_dim": 128, "hidden_size": 128, "num_heads": 4, "mlp_ratio": 2, "patch_size": PATCH}
    config = Qwen2VLConfig(
        vision_config=vision,
        # Beside the vision's, not in a text_config: so the published checkpoints have it, and so the exporter reads it.
        **GROUPED,
        rope_scaling={"type": "mrope", "mrope_section": [4, 6, 6]},
        **{f"{name}_token_id": IDS[f"<|{name}|>"] for name in ("vision_start", "vision_end")},
        image_token_id=IDS["<|image_pad|>"],
        video_token_id=IDS["<|video_pad|>"],
        **tokens("qwen2_vl"),
    )
    pictures = Qwen2VLImageProcessor(min_pixels=SIDE**2, max_pixels=4 * SIDE**2, patch_size=PATCH)
    tokenizer = make_tokenizer("qwen2_vl")
    return answering(Qwen2VLForConditionalGeneration(config), "qwen2_vl"), [pictures, tokenizer]


def internvl(_: Path) -> Parts:
    config = internvl_chat.InternVLChatConfig(
        llm_config={**GROUPED, **tokens("internvl_chat")},
        vision_config={**TOWER, "image_size": SIDE},
        img_context_token_id=IDS[internvl_chat.CONTEXT],
        **tokens("internvl_chat"),
    )
    pictures = CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=SIDE)
    processor = internvl_chat.InternVLChatProcessor(pictures, make_tokenizer("internvl_chat"), tokens=config.tokens)
    return answering(internvl_chat.InternVLChatModel(config), "internvl_chat"), [processor]


def minicpm(_: Path) -> Parts:
    pictures = minicpmv.MiniCPMVImageProcessor(patch_size=PATCH, scale_resolution=SIDE)
    config = minicpmv.MiniCPMVConfig(
        vision_config={**TOWER, "image_size": pictures.image_size, "vision_use_head": False},
        image_token_id=IDS[minicpmv.TOKEN],
        patch_size=PATCH,
        **GROUPED,
        **tokens("minicpmv"),
    )
    processor = minicpmv.MiniCPMVProcessor(pictures, make_tokenizer("minicpmv"), query_num=config.query_num)
    return answering(minicpmv.MiniCPMV(config), "minicpmv"), [processor]


def phi3(folder: Path) -> Parts:
    """The exporter loads the tower's config by name, so it lies in a folder of its own.

    openvino-genai takes nothing but 336 x 336 pixels and features 1024 wide.
    """
    tower = {**TOWER, "hidden_size": 1024, "num_attention_heads": 16, "image_size": phi3_v.SIDE}
    CLIPConfig(vision_config=tower).save_pretrained(folder / "clip")
    config = phi3_v.Phi3VConfig(
        img_processor={"name": "clip_vision_model", "model_name": str(folder / "clip"), "image_dim_out": 1024},
        embd_layer={"embedding_cls": "image", "projection_cls": "mlp", "use_hd_transform": True},
        **{**LANGUAGE, **LONG},
        **tokens("phi3_v"),
    )
    processor = phi3_v.Phi3VProcessor(phi3_v.Phi3VImageProcessor(), make_tokenizer("phi3_v"))
    return answering(phi3_v.Phi3VForCausalLM(config), "phi3_v"), [processor]


def tokens(family: str) -> dict[str, int]:
    return {"eos_token_id": end_id(family), "pad_token_id": IDS["<pad>"], "bos_token_id": IDS["<s>"]}


def answering(model: PreTrainedModel, family: str) -> PreTrainedModel:
    """The model with the settings that it answers by."""
    model.generation_config = GenerationConfig(do_sample=False, **tokens(family))
    return model


FAMILIES: Mapping[str, Callable[[Path], Parts]] = {
    "llava": llava,
    "qwen2_vl": qwen2_vl,
    "internvl_chat": internvl,
    "minicpmv": minicpm,
    "phi3_v": phi3,
}
