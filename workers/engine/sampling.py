"""How openvino-genai is told to choose tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import openvino_genai as genai

from pipeline.prompts import Sampling


def generation(
    own: genai.GenerationConfig, sampling: Sampling, *, logprobs: bool, form: Mapping[str, Any] | None = None
) -> genai.GenerationConfig:
    """A fresh configuration that takes from the model's `own` only where an answer ends.

    A fresh one knows no end of text, and the model's own may sample or penalise, which nobody asked for.
    """
    config = genai.GenerationConfig()
    config.eos_token_id = own.eos_token_id
    config.stop_token_ids = own.stop_token_ids
    config.stop_strings = own.stop_strings
    config.max_new_tokens = sampling.max_tokens
    config.apply_chat_template = False
    config.logprobs = int(logprobs)
    if sampling.temperature > 0:
        config.do_sample = True
        config.temperature = sampling.temperature
        config.rng_seed = sampling.seed or 0
    if form:
        config.structured_output_config = genai.StructuredOutputConfig(grammar=form["grammar"])
    return config
