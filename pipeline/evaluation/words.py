"""Words of a caption, nearly as the captioning evaluation takes them: Stanford's tokenizer, then no punctuation.

That tokenizer is Java, of 2014. The rules here give the same for what captions have in them (the tests hold them
against what it says); they differ for rarities such as C++ or <b>.
"""

from __future__ import annotations

import re

_PLAIN = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": ".", "£": "#"})
_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
_PARTED = (
    (re.compile(r"\b(can(?=not\b)|(?:gon|wan)(?=na\b)|got(?=ta\b))"), r"\1 "),
    (re.compile(r"(?<=\w)(n't)\b"), r" \1"),
    (re.compile(r"(?<=\w)('(?:s|m|d|re|ve|ll))(?!\w)"), r" \1"),
    (re.compile(r"'(t)(?=(?:is|was)\b)"), r"'\1 "),
    (re.compile(r"\by'(?=all\b)"), "y' "),
)
_TOKEN = re.compile(
    r"""
      n't(?!\w) | '(?:s|m|d|re|ve|ll|t|n')(?!\w) | y'(?=[ ])   # what contractions are made of
    | (?:[^\W\d_]\.){2,}                                       # u.s., p.m.
    | (?:mr|mrs|ms|dr|st|vs|etc|jr|sr)\. | no\.(?=\s?\d)
    | '\d\ds\b                                                 # the '90s
    | @?\w+ (?: (?:[-/'.]|(?<=\d)[,:](?=\d)) \w+ )*            # also t-shirt, red/blue, o'clock, 3.50, 3,000, 5:30
    | [!?]+ | \.+ | -+
    | [^\w\s]
    """,
    re.VERBOSE,
)
_DROPPED = frozenset(["'", "''", '"', "`", "``", ".", "..", "...", "?", "!", ",", ":", ";", "-", "--"])


def words(text: str) -> list[str]:
    """The words in lower case, contractions in their parts; what only separates is left out."""
    text = text.lower().translate(_PLAIN)
    for form, parted in _PARTED:
        text = form.sub(parted, text)
    return [_BRACKETS.get(token, token) for token in _TOKEN.findall(text) if token not in _DROPPED]
