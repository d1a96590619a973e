"""The tokens that openvino-genai answers with, greedily and in full precision.

A program of its own, `python -m tests.convert.engine_tokens BUILD QUESTION PICTURE...`, for the reason that
`reference` gives. It prints what `torch_tokens` prints; the requests run at the same time, as they do in a worker.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino as ov
import openvino_genai as genai
from PIL import Image

from workers.engine.chat import Chat

TOKENS = 12
F32 = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}


def main(build: Path, question: str, *pictures: str) -> None:
    pipeline = genai.ContinuousBatchingPipeline(str(build), genai.SchedulerConfig(), "CPU", F32)
    chat = Chat(pipeline.get_tokenizer())
    images = [ov.Tensor(np.asarray(Image.open(picture).convert("RGB"))[None]) for picture in pictures]
    requests = [*([image] for image in images), images]
    prompts = [chat.prompt([("user", question)], len(request)) for request in requests]
    json.dump(answers(pipeline, list(zip(prompts, requests, strict=True))), sys.stdout)


def answers(
    pipeline: genai.ContinuousBatchingPipeline, requests: Sequence[tuple[str, Sequence[ov.Tensor]]]
) -> list[list[int]]:
    settings = pipeline.get_config()
    settings.max_new_tokens, settings.ignore_eos, settings.apply_chat_template = TOKENS, True, False
    handles = [
        pipeline.add_request(number, prompt, list(images), settings) for number, (prompt, images) in enumerate(requests)
    ]
    while pipeline.has_non_finished_requests():
        pipeline.step()
    return [list(handle.read_all()[0].generated_ids) for handle in handles]


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
