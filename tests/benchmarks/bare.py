"""The bare loop that `pixmill run` is compared with: openvino-genai, a list of decoded pictures, nothing else.

A program of its own, so that its CPU time can be told from the rest. Prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import openvino as ov
import openvino_genai as genai
from PIL import Image

from workers.engine.chat import PICTURE


def main(model: str, folder: str, questions: list[str], max_tokens: int, running: int) -> None:
    scheduler = genai.SchedulerConfig()
    scheduler.max_num_seqs = running
    scheduler.enable_prefix_caching = True
    scheduler.dynamic_split_fuse = True
    pipeline = genai.ContinuousBatchingPipeline(model, scheduler, "CPU")
    tokenizer = pipeline.get_tokenizer()
    own = pipeline.get_config()
    config = genai.GenerationConfig()
    config.eos_token_id, config.max_new_tokens, config.apply_chat_template = own.eos_token_id, max_tokens, False
    config.logprobs = 1

    pictures = [np.asarray(Image.open(path).convert("RGB")) for path in sorted(Path(folder).iterdir())]
    waiting = [(picture, question) for picture in pictures for question in questions][::-1]
    total = len(waiting)

    begun = time.monotonic()
    handles: dict[int, genai.GenerationHandle] = {}
    steps = running_sum = answered = 0
    while waiting or handles:
        # As the engine does: new pictures between two steps for a tenth of a second at most.
        until = time.monotonic() + 0.1
        while waiting and len(handles) < running:
            picture, question = waiting.pop()
            history = genai.ChatHistory()
            history.append({"role": "user", "content": PICTURE.format(0) + question})
            prompt = tokenizer.apply_chat_template(history, add_generation_prompt=True)
            handles[len(waiting)] = pipeline.add_request(len(waiting), prompt, [ov.Tensor(picture[None])], config)
            if time.monotonic() > until:
                break
        steps, running_sum = steps + 1, running_sum + len(handles)
        pipeline.step()
        for number, handle in list(handles.items()):
            if handle.get_status() != genai.GenerationStatus.RUNNING:
                tokenizer.decode(handle.read_all()[0].generated_ids)
                del handles[number]
                answered += 1
    seconds = time.monotonic() - begun
    json.dump(
        {"total": total, "answered": answered, "seconds": seconds, "mean_running": running_sum / steps}, sys.stdout
    )


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
