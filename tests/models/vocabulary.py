"""The vocabulary that all generated models share: special tokens, single bytes, and a few words.

It is built, not trained: every word is reached by merging its letters from the left, and each prefix on
the way is a token. So " red" is always one token, and a model that may only say whole words and full stops
says something readable. `make_tokenizer.py` turns this into the committed tokenizer files.
"""

from __future__ import annotations

from pathlib import Path

FILES = Path(__file__).parent / "tokenizer"
"""the committed tokenizer.json and its IR models"""

SPECIAL = (
    "<unk>",
    "<pad>",
    "<s>",
    "</s>",
    "<image>",
    "</image>",
    "<slice>",
    "</slice>",
    "<image_id>",
    "</image_id>",
    "<img>",
    "</img>",
    "<IMG_CONTEXT>",
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|end|>",
)
"""What the five families' prompts are made of. Most of them must be one token each: openvino-genai looks them up."""

_WORDS = """
a the two three and with of on in by over under near behind
red green blue black white brown pink big small old new tall round
cat dog bird tree house car boat hill sky road girl boy man sea sun cup box door
"""
WORDS = tuple(_WORDS.split())

FULL_STOP = "."


def _byte_letters() -> dict[int, str]:
    """The printable letter that stands for each byte in a byte-level vocabulary (space becomes G with a dot)."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {byte: chr(byte) for byte in shown} | {byte: chr(256 + place) for place, byte in enumerate(hidden)}


LETTERS = _byte_letters()
SPACE = LETTERS[0x20]


def _merges() -> list[tuple[str, str]]:
    steps = ((SPACE + word[:end], word[end]) for word in WORDS for end in range(len(word)))
    return list(dict.fromkeys(steps))


MERGES = _merges()
TOKENS = [*SPECIAL, *(LETTERS[byte] for byte in range(256)), *(left + right for left, right in MERGES)]
IDS = {token: number for number, token in enumerate(TOKENS)}
WORD_IDS = tuple(IDS[SPACE + word] for word in WORDS)
FULL_STOP_ID = IDS[FULL_STOP]
