"""Messages as the one text a model reads, with the pictures' places in it.

`add_request` knows only a user's prompt, so the model's chat template is applied here. openvino-genai's
template engine mends two things by itself: a template without a system role gets the system text in front
of the first question, and one that wants typed content gets it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import openvino_genai as genai

PICTURE = "<ov_genai_image_{}>"

# The tags by which openvino-genai or a family's own format would place a picture.
_TAGS = r"<ov_genai_\w+_\d+>|<\|(?:image|video|audio)_\d+\|>|</?(?:image|video|audio|img|slice|image_id)>"


class Chat:
    """A model's way to write a conversation."""

    def __init__(self, tokenizer: genai.Tokenizer, special_tokens: Collection[str] = ()) -> None:
        self._tokenizer = tokenizer
        longest_first = sorted(special_tokens, key=len, reverse=True)
        self._control = re.compile("|".join([_TAGS, *(re.escape(token) for token in longest_first if len(token) > 1)]))

    def prompt(self, messages: Sequence[tuple[str, str]], pictures: int) -> str:
        """The text to ask, with the pictures in front of the last message: so what comes before can be shared."""
        written = [{"role": role, "content": self._harmless(text)} for role, text in messages]
        tags = "".join(PICTURE.format(place) for place in range(pictures))
        written[-1]["content"] = tags + written[-1]["content"]
        if not self._tokenizer.chat_template:
            return "\n".join(message["content"] for message in written)
        history = genai.ChatHistory()
        for message in written:
            history.append(message)
        text: str = self._tokenizer.apply_chat_template(history, add_generation_prompt=True)
        return text

    def _harmless(self, text: str) -> str:
        """A user's words stay words: what the model or the engine would take for a control token gets a blank.

        `<ov_genai_image_0>` in a question would show the picture twice, `<image>` made add_request raise, and
        MiniCPM-V's picture goes wherever the first `<image>` stands.
        """
        encodable = text.encode("utf-8", "replace").decode("utf-8")
        return self._control.sub(lambda found: f"{found[0][0]} {found[0][1:]}", encodable)
