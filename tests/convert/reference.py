"""What the reference says: the first tokens that transformers and torch give, with their log-probabilities.

A program of its own, `python -m tests.convert.reference CHECKPOINT QUESTION PICTURE...`, which prints a list of
pairs for each picture: once torch had computed in a process, the second openvino-genai pipeline in it crashed
(torch 2.13, openvino-genai 2026.4).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from PIL import Image
from transformers import AutoProcessor, LlavaForConditionalGeneration

TOKENS = 6


def main(checkpoint: Path, question: str, *pictures: str) -> None:
    processor = AutoProcessor.from_pretrained(checkpoint)
    model = LlavaForConditionalGeneration.from_pretrained(checkpoint).eval()
    content = [{"type": "image"}, {"type": "text", "text": question}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    said = []
    for picture in pictures:
        inputs = processor(text=[prompt], images=[Image.open(picture)], return_tensors="pt")
        output = model.generate(
            **inputs,
            max_new_tokens=TOKENS,
            min_new_tokens=TOKENS,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
        )
        sure, tokens = torch.stack(output.logits).squeeze(1).log_softmax(-1).max(-1)
        said.append(list(zip(tokens.tolist(), sure.tolist(), strict=True)))
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
