"""Makes the committed tokenizer files from `vocabulary.py`.

Needed only when the vocabulary changes; the tests use the files as they are. From the repository's root,
in an environment of its own (torch is not needed):

    pip install openvino-tokenizers==2026.4.1.0 transformers==4.53.3
    python -m tests.models.make_tokenizer
"""

from __future__ import annotations

import tempfile

import openvino
from openvino_tokenizers import convert_tokenizer
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tests.models import vocabulary


def tokenizer() -> Tokenizer:
    made = Tokenizer(models.BPE(vocab=vocabulary.IDS, merges=vocabulary.MERGES))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in vocabulary.SPECIAL])
    return made


def main() -> None:
    """Write tokenizer.json and its two IR models.

    They name no end token and no chat template: those differ from family to family, stand in the build's
    own files, and would be overridden by what the IR says.
    """
    vocabulary.FILES.mkdir(exist_ok=True)
    made = tokenizer()
    made.save(str(vocabulary.FILES / "tokenizer.json"))
    with tempfile.TemporaryDirectory() as folder:
        PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", padding_side="left").save_pretrained(folder)
        pair = convert_tokenizer(AutoTokenizer.from_pretrained(folder), with_detokenizer=True)
    for model, name in zip(pair, ("openvino_tokenizer", "openvino_detokenizer"), strict=True):
        openvino.save_model(model, vocabulary.FILES / f"{name}.xml", compress_to_fp16=False)


if __name__ == "__main__":
    main()
