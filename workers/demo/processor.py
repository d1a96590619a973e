"""The files beside the weights that say how pictures and text become the model's input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import CLIPImageProcessor, GenerationConfig, LlavaProcessor

from workers.demo.architecture import PATCH, SIDE
from workers.demo.tokenizer import IMAGE


def save_processor(tokenizer: Any, folder: Path) -> None:
    """Write processor, image processor, tokenizer and generation settings."""
    square = {"height": SIDE, "width": SIDE}
    pictures = CLIPImageProcessor(size=square, crop_size=square, do_center_crop=False)
    processor = LlavaProcessor(
        image_processor=pictures,
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token=IMAGE,
        chat_template=tokenizer.chat_template,
    )
    processor.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    GenerationConfig(
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        do_sample=False,
        max_new_tokens=96,
    ).save_pretrained(folder)
