"""An ended generation as what the parent is told."""

from __future__ import annotations

import math
from collections.abc import Sequence

import openvino_genai as genai

from pipeline.errors import EmptyAnswer
from workers.engine.core import Ending, refusal
from workers.engine.requests import Completion


def ending(
    id: int,
    *,
    text: str,
    reason: genai.GenerationFinishReason,
    prompt_tokens: int,
    answer_tokens: int,
    logprob: float | None,
    vision_s: float,
    first_token_s: float,
    total_s: float,
    tokens: Sequence[tuple[int, float]] | None = None,
) -> Ending:
    """A completion, or a refusal when there is nothing to read: an empty answer is none."""
    if not text.strip():
        return refusal(id, EmptyAnswer())
    return Completion(
        id=id,
        text=text,
        finish_reason="length" if reason == genai.GenerationFinishReason.LENGTH else "stop",
        prompt_tokens=prompt_tokens,
        answer_tokens=answer_tokens,
        logprob=logprob if logprob is not None and math.isfinite(logprob) else None,
        vision_s=vision_s,
        first_token_s=first_token_s,
        total_s=total_s,
        tokens=tokens,
    )
