"""Words, as a search knows them: the same on every database, which only ever sees what is cut here.

Capitals and accents make no difference. Scripts without spaces between words (Chinese, Japanese, Thai, ...) and
emoji are cut into single characters, so that a phrase of them finds any part of a text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MOST = 100_000
"""characters of a text that are searched; PostgreSQL takes no more than a megabyte of words"""
LONGEST = 64
"""characters of a word that are kept, of a text and of a question alike"""

_NOT_WRITTEN = re.compile(
    "[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u0610-\u061a\u064b-\u065f\u0670"  # accents and vowels
    "\u00ad\u200c\u200d\ufe0e\ufe0f]"  # joiners and variants
)
_ALONE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u2190-\u2bff\U0001f000-\U0001faff"  # symbols and emoji
    "\u2e80-\u2fdf\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"  # Japanese
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese characters
)
# Vowel signs of Indian scripts are parts of words, though no letters to Python.
_SIGNS = "\u0900-\u0963\u0966-\u0dff"
_WORD = re.compile(f"[{_ALONE}]|(?:(?![{_ALONE}])[^\\W_]|[{_SIGNS}])+")
_PLAIN = re.compile("[a-z0-9]+")
_PIECE = re.compile(r'"([^"]*)(?:"(\*?)|$)|([^\s"]+)')


def words(text: str) -> list[str]:
    """The words of a text, in their order."""
    if text.isascii():
        return [word[:LONGEST] for word in _PLAIN.findall(text[:MOST].lower())]
    folded = unicodedata.normalize("NFKD", text[:MOST])
    folded = unicodedata.normalize("NFKD", folded.casefold())
    folded = unicodedata.normalize("NFC", _NOT_WRITTEN.sub("", folded))
    return [word[:LONGEST] for word in _WORD.findall(folded[:MOST])]


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that stand side by side; an open one goes on as it likes after the last."""

    words: tuple[str, ...]
    open: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for: all of the phrases, in any order."""

    phrases: tuple[Phrase, ...]

    @classmethod
    def parse(cls, text: str) -> Search:
        """What a person typed: words, "words side by side", beginnings*. There is nothing that is not allowed."""
        return cls(tuple(phrase for phrase in _phrases(text) if phrase.words))

    def fits(self, said: Sequence[str]) -> bool:
        """Whether these words hold all of the phrases."""
        return all(any(_begins(phrase, said[at:]) for at in range(len(said))) for phrase in self.phrases)


def _phrases(text: str) -> Iterator[Phrase]:
    for quoted, star, bare in _PIECE.findall(text):
        yield Phrase(tuple(words(quoted or bare)), open=bool(star) or bare.endswith("*"))


def _begins(phrase: Phrase, said: Sequence[str]) -> bool:
    *before, last = phrase.words
    there = said[: len(phrase.words)]
    if len(there) < len(phrase.words) or list(there[:-1]) != before:
        return False
    return there[-1].startswith(last) if phrase.open else there[-1] == last
