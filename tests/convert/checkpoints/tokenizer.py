"""The tokenizer of a checkpoint: the vocabulary of all generated models, with a family's end token and template."""

from __future__ import annotations

import tempfile
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from tests.models.configs import write_tokenizer


def make_tokenizer(family: str) -> PreTrainedTokenizerFast:
    with tempfile.TemporaryDirectory() as folder:
        write_tokenizer(family, Path(folder))
        return PreTrainedTokenizerFast.from_pretrained(
            folder,
            padding_side="left",
            model_input_names=["input_ids", "attention_mask"],  # LLaVA refuses token_type_ids
        )
