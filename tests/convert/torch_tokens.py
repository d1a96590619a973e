"""The tokens that transformers and torch answer with, greedily.

A program of its own, `python -m tests.convert.torch_tokens CHECKPOINT QUESTION PICTURE...`, for the reason that
`reference` gives. It prints a list of token ids for each picture, and one for all of them in one request.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    Qwen2VLProcessor,
)
from transformers.processing_utils import ProcessorMixin

TOKENS = 12
# How each family's own code or model card writes a picture in front of the question.
TAGS = {
    "llava": "<image>\n",
    "qwen2_vl": "<|vision_start|><|image_pad|><|vision_end|>",
    "internvl_chat": "<image>\n",
    "minicpmv": "<image>./</image>\n",
    "phi3_v": "<|image_{}|>\n",
}


class Qwen2VLPictureProcessor(Qwen2VLProcessor):
    """Qwen2-VL's processor without its part for videos, which needs torchvision."""

    attributes = ["image_processor", "tokenizer"]  # noqa: RUF012
    tokenizer_class = "AutoTokenizer"

    def __init__(self, image_processor: Any, tokenizer: Any) -> None:
        self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
        self.image_token_id, self.video_token_id = tokenizer.convert_tokens_to_ids([self.image_token, self.video_token])
        ProcessorMixin.__init__(self, image_processor, tokenizer)


def main(checkpoint: Path, question: str, *pictures: str) -> None:
    own_code = hasattr(AutoConfig.from_pretrained(checkpoint, trust_remote_code=True), "auto_map")
    kind = AutoModelForCausalLM if own_code else AutoModelForImageTextToText
    model = kind.from_pretrained(checkpoint, trust_remote_code=own_code).eval()
    processor = make_processor(checkpoint, model.config.model_type)
    images = [Image.open(picture).convert("RGB") for picture in pictures]
    requests = [*([image] for image in images), images]
    json.dump([answer(model, processor, question, request) for request in requests], sys.stdout)


def make_processor(checkpoint: Path, family: str) -> Any:
    if family != "qwen2_vl":
        return AutoProcessor.from_pretrained(checkpoint, trust_remote_code=True)
    parts = (AutoImageProcessor, AutoTokenizer)
    return Qwen2VLPictureProcessor(
        *(part.from_pretrained(checkpoint, use_fast=part is AutoTokenizer) for part in parts)
    )


def answer(model: Any, processor: Any, question: str, images: Sequence[Image.Image]) -> list[int]:
    tags = "".join(TAGS[model.config.model_type].format(place + 1) for place in range(len(images)))
    messages = [{"role": "user", "content": tags + question}]
    text = processor.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    inputs = processor(text=text, images=list(images), return_tensors="pt")
    # Without an end token every answer is as long as it may be.
    output = model.generate(**inputs, max_new_tokens=TOKENS, do_sample=False, eos_token_id=None)
    return output[0, -TOKENS:].tolist()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
