"""Cleaning: captions without what models put around them, for views and exports; stored texts stay as they are."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import click

from pipeline.options import together
from pipeline.store.rows import AnswerRow, ItemRow


@dataclass(frozen=True, kw_only=True)
class Cleaning:
    """What a person wants of captions. Answers that were held to a form are left alone."""

    clean: bool = False
    start_with: str | None = None
    max_words: int | None = None

    def answer(self, row: AnswerRow) -> AnswerRow:
        if row.prompt.form is not None:
            return row
        # What a person wrote says what it is meant to say.
        corrected = row.review is not None and row.review.text is not None
        return replace(row, text=self.text(row.text, clean=self.clean and not corrected))

    def item(self, row: ItemRow) -> ItemRow:
        return replace(row, answer=self.answer(row.answer)) if row.answer else row

    def text(self, text: str, *, clean: bool) -> str:
        text = cleaned(text) if clean else text
        start = self.start_with or ""
        text = text.removeprefix(start) if start else text
        text = cut(text, self.max_words) if self.max_words else text
        return f"{start}{'' if not start or start[-1].isspace() or text[:1].isspace() else ' '}{text}"


clean_options = together(
    "cleaning",
    Cleaning,
    click.option("--clean", is_flag=True, help='Captions without "The image shows", thinking, fences and quotes.'),
    click.option("--start-with", metavar="TEXT", help="Captions begin with this text."),
    click.option(
        "--max-words",
        type=click.IntRange(min=1),
        metavar="N",
        help="Captions end after N words at most, with a sentence if one ends not long before.",
    ),
)


def cleaned(text: str) -> str:
    """The caption itself. What would leave nothing is not done; done again, it changes nothing."""
    before = None
    while text != before:
        before = text
        for step in _STEPS:
            shorter = step(text)
            text = shorter if _says_something(shorter) else text
    return text


def cut(text: str, words: int) -> str:
    """The first so many words, or fewer when a sentence ends in the second half of them."""
    ends = [found.end() for found in re.finditer(r"\S+", text)]
    if len(ends) <= words:
        return text
    first = text[: ends[words - 1]]
    sentences = [found.end() for found in re.finditer(r"[.!?。！？][\"'”’)\]]*(?=\s|$)", first)]
    if sentences and sentences[-1] * 2 >= len(first):
        return first[: sentences[-1]]
    bare = first.rstrip(" \t\r\n,;:-–—(")
    return bare or first


def _says_something(text: str) -> bool:
    return any(not c.isspace() for c in text)


# --- the steps -----------------------------------------------------------------------------------

_NOUN = r"(?:image|picture|photograph|photo|scene|snapshot)"
_THE = rf"(?:the|this|that)\s+(?:given\s+|provided\s+)?{_NOUN}"
_A = rf"(?:an?\s+)?{_NOUN}\s+(?:of|showing|depicting)"
_SHOWS = (
    r"(?:clearly\s+)?(?:shows|showcases|depicts|displays|features|captures|presents|portrays|illustrates"
    r"|(?:appears|seems)\s+to\s+(?:show|depict|be\s+of)|is\s+(?:of|showing|depicting))"
)
_SEE = r"(?:we|you|i|one)\s+(?:can\s+|could\s+)?(?:clearly\s+)?(?:see|observe|notice)"
_LEADING = re.compile(
    rf"""(?:
      {_THE}\s+{_SHOWS}(?!\s+(?:that|how|us|why|what|where)\b)
    | (?:this|that|it|the\s+{_NOUN})\s+is\s+{_A}
    | {_A}
    | (?:in|on)\s+{_THE}\s*,
    | (?:in|on)\s+{_THE}(?=\s+(?:there|we|you|one)\s)
    | {_SEE}
    | (?:sure|certainly|of\s+course)[,!.]
    | here(?:'s|’s|\s+is)\s+(?:an?|the|my)\s+(?:\w+\s+){{0,3}}(?:caption|description|answer)
      (?:\s+(?:of|for)\s+(?:{_THE}|it))?\s*:
    | (?:caption|description|answer)\s*:
    )\s*:?\s*(?=\S)""",
    re.IGNORECASE | re.VERBOSE,
)
_THINKING = re.compile(r"<(think|thinking)>.*?</\1>", re.IGNORECASE | re.DOTALL)
_THOUGHT = re.compile(r"^.*</(?:think|thinking)>", re.IGNORECASE | re.DOTALL)
_FENCE = re.compile(r"^(?:```|~~~)[\w-]*[ \t]*\n(.*?)\n?(?:```|~~~)$", re.DOTALL)
_QUOTES = ('""', "''", "“”", "‘’", "«»", "„“", "``")


def _without_thinking(text: str) -> str:
    """Also where the template had opened the block, and only its end was said."""
    if "</" not in text:  # from each beginning, an end would be looked for through all of the text
        return text.strip()
    return _THOUGHT.sub("", _THINKING.sub("", text)).strip()


def _without_fence(text: str) -> str:
    found = _FENCE.match(text.strip())
    return found[1].strip() if found else text.strip()


def _without_quotes(text: str) -> str:
    """Only a pair that stands around all of it, with no such sign inside."""
    for first, last in map(tuple, _QUOTES):
        inside = text[1:-1]
        if len(text) > 2 and text[0] == first and text[-1] == last and first not in inside and last not in inside:
            return inside.strip()
    return text


def _without_emphasis(text: str) -> str:
    """Two stars or underscores on both sides."""
    for sign in ("**", "__"):
        inside = text[2:-2]
        if len(text) > 4 and text.startswith(sign) and text.endswith(sign) and sign not in inside:
            return inside.strip()
    return text


def _without_leading(text: str) -> str:
    found = _LEADING.match(text)
    return _capital(text[found.end() :]) if found else text


def _capital(text: str) -> str:
    first = text[:1].upper()
    return first + text[1:] if len(first) == 1 else text


_STEPS: tuple[Callable[[str], str], ...] = (
    _without_thinking,
    _without_fence,
    _without_quotes,
    _without_emphasis,
    _without_leading,
)
