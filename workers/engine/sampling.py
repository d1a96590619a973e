"""How openvino-genai is told to choose tokens."""

from __future__ import annotations

import functools
import json

import openvino_genai as genai

from pipeline import forms
from pipeline.forms import Spelling
from pipeline.prompts import Form, Sampling


def generation(
    own: genai.GenerationConfig,
    sampling: Sampling,
    *,
    logprobs: bool,
    form: Form | None = None,
    spelling: Spelling | None = None,
) -> genai.GenerationConfig:
    """A fresh configuration that takes from the model's `own` only where an answer ends.

    A fresh one knows no end of text, and the model's own may sample or penalise, which nobody asked for.
    `spelling` is the vocabulary's, for an answer that is held to a form.
    """
    config = genai.GenerationConfig()
    config.eos_token_id = own.eos_token_id
    # An answer that is complete in its form can be followed by nothing else: without one of these it had no end.
    config.stop_token_ids = own.stop_token_ids | ({own.eos_token_id} if own.eos_token_id >= 0 else set())
    config.stop_strings = own.stop_strings
    config.max_new_tokens = sampling.max_tokens
    config.apply_chat_template = False
    config.logprobs = int(logprobs)
    if sampling.temperature > 0:
        config.do_sample = True
        config.temperature = sampling.temperature
        config.rng_seed = sampling.seed or 0
    if form:
        config.structured_output_config = genai.StructuredOutputConfig(grammar=_grammar(json.dumps(form), spelling))
    return config


@functools.lru_cache(maxsize=256)
def _grammar(form: str, spelling: Spelling | None) -> str:
    """Most requests share a few forms, and a thousand choices take 50 ms to write down. Keys stay in their order."""
    return forms.grammar(json.loads(form), spelling)
