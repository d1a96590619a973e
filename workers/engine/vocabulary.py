"""The vocabulary of a model's tokenizer, as far as a grammar must know it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import openvino_genai as genai

from pipeline.forms import Spelling

SPACE, METASPACE = " ", "\N{LOWER ONE EIGHTH BLOCK}"


def spelling(tokenizer: genai.Tokenizer) -> Spelling | None:
    """None when the vocabulary cannot be read, so that no answer can be held to a form.

    A tokenizer whose detokenizer is a closed box, as some of the SentencePiece kind are, would end the engine with
    the first form it is asked for (openvino-genai 2026.4).
    """
    try:
        tokens = list(tokenizer.get_vocab())
    except RuntimeError:
        return None
    return Spelling(blank(tokens), tuple(shadowed(tokens))) if tokens else None


def blank(tokens: Iterable[bytes]) -> str:
    """Some tokenizers keep "▁dog" in their vocabulary and make it " dog" afterwards, which the grammar never sees."""
    begins = [token[:3] for token in tokens]
    meta = begins.count(METASPACE.encode())
    return METASPACE if meta > sum(begin.startswith(SPACE.encode()) for begin in begins) else SPACE


def shadowed(tokens: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    """Tokens that xgrammar passes over together with one before them in order, which they contain.

    It takes every token that contains another for one that begins with it, and refuses them together: `purple`
    behind `ple` in the vocabulary that ships, so that no form could hold it (openvino-genai 2026.4).
    """
    above: list[bytes] = []
    for token in sorted(tokens):
        while above and above[-1] not in token:
            above.pop()
        for other in above:
            if not token.startswith(other) and (pair := _texts(token, other)):
                yield pair
        above.append(token)


def _texts(*tokens: bytes) -> tuple[str, str] | None:
    try:
        one, other = (token.decode() for token in tokens)
    except UnicodeDecodeError:  # a part of a character, with which no literal begins
        return None
    return one, other
