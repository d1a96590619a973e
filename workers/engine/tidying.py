"""Tidying up what openvino-genai keeps and nobody needs.

It notes the tokens of every prompt, in case they were part of a chat: eight bytes for each, a picture's too, so 5 to
20 GB over a million questions. Ending the chat that never was lets go of them (2026.4), whatever runs meanwhile.
"""

from __future__ import annotations

import warnings

import openvino_genai as genai

EVERY = 500
"""requests: some megabytes at most"""


def tidy(pipeline: genai.ContinuousBatchingPipeline) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # chats are on their way out, and this with them
        pipeline.finish_chat()
