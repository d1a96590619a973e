"""Regular expressions: an answer that fits one as a whole. Python's dialect, without what looks around.

The pattern is read by Python's own parser and written anew as a grammar. The dialect of openvino-genai differs in
silence: there `\\Z` is a letter, and `.*?` and flags are something else or an error.
"""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from re import _constants, _parser  # type: ignore[attr-defined]  # what `re` itself reads patterns with; it has no stubs
from typing import Any

import regex

from pipeline.errors import InvalidAnswer, SchemaInvalid
from pipeline.forms.ebnf import LAST, Ebnf, Range, either, sequence
from pipeline.forms.values import Reading, shown

Tokens = Sequence[tuple[Any, Any]]

_CATEGORIES: dict[Any, tuple[Range, ...]] = {
    _constants.CATEGORY_DIGIT: ((0x30, 0x39),),
    _constants.CATEGORY_SPACE: ((0x09, 0x0D), (0x20, 0x20)),
    _constants.CATEGORY_WORD: ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)),
}
_NEGATED = {
    _constants.CATEGORY_NOT_DIGIT: _constants.CATEGORY_DIGIT,
    _constants.CATEGORY_NOT_SPACE: _constants.CATEGORY_SPACE,
    _constants.CATEGORY_NOT_WORD: _constants.CATEGORY_WORD,
}
_REFUSED = {
    _constants.ASSERT: "it looks ahead or behind, as (?=...) does",
    _constants.ASSERT_NOT: "it looks ahead or behind, as (?!...) does",
    _constants.GROUPREF: r"it refers to a group, as \1 does",
    _constants.GROUPREF_EXISTS: "it depends on a group, as (?(1)...) does",
}
_NEWLINE = (0x0A, 0x0A)
PATIENCE_S = 0.5
DEEPEST = 1_000
"""how often what stands in repeats within repeats may come: xgrammar follows all ways to count it"""


def check(form: Any) -> None:
    """Raises SchemaInvalid."""
    if not isinstance(pattern := form.get("pattern"), str) or not pattern:
        raise SchemaInvalid(why="a regular expression must be given")
    grammar(form, Ebnf())


def read(form: Any, text: str) -> Reading:
    """Raises InvalidAnswer."""
    # The blank in front is the model's; one behind may be what the pattern asks for.
    spellings = (text, text.removeprefix(" "), text.strip())
    found = next((said for said in spellings if fits(form["pattern"], said, whole=True)), None)
    if found is None:
        raise InvalidAnswer(why=f"{shown(text)} does not fit {shown(form['pattern'])}")
    return Reading(found, found)


def fits(pattern: str, text: str, *, whole: bool) -> bool:
    """Whether the text fits, or a part of it. Raises InvalidAnswer when that takes too long to tell.

    Whoever waits for this holds up all other answers, and `(a|aa)+b` takes years to refuse a hundred letters.
    """
    compiled = _compiled(pattern)
    try:
        return (compiled.fullmatch if whole else compiled.search)(text, timeout=PATIENCE_S) is not None
    except TimeoutError:
        raise InvalidAnswer(why=f"{shown(text)} takes too long to compare with {shown(pattern)}") from None


def grammar(form: Any, ebnf: Ebnf) -> str:
    return translated(form["pattern"], ebnf)


def translated(pattern: str, ebnf: Ebnf, *, inside_json: bool = False, anywhere: str = "") -> str:
    """The pattern as a part of a grammar. Raises SchemaInvalid.

    `inside_json`: characters that a JSON string spells with a backslash are left out. `anywhere` is what may stand
    before and behind a pattern that does not say where it begins or ends.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)  # what a later Python may read in another way
            re.compile(pattern, re.ASCII)
            parsed = _parser.parse(pattern, re.ASCII)
            _compiled(pattern)
    except (re.error, regex.error, FutureWarning, RecursionError, OverflowError) as error:
        raise SchemaInvalid(why=f"{shown(pattern)} is no regular expression: {error}") from None
    if parsed.state.flags & ~(re.ASCII | re.UNICODE):
        raise SchemaInvalid(
            why=f"{shown(pattern)} has flags such as (?i), which an answer cannot be held to; write [Rr]ed"
        )
    tokens, begins, ends = _without_ends(list(parsed))
    inside = _Writer(pattern, ebnf, inside_json=inside_json).tokens(tokens)
    parts = ["" if begins else anywhere, inside, "" if ends else anywhere]
    return sequence(part for part in parts if part)


@functools.lru_cache(maxsize=256)
def _compiled(pattern: str) -> regex.Pattern[str]:
    return regex.compile(pattern, regex.ASCII)


def _without_ends(tokens: list[tuple[Any, Any]]) -> tuple[list[tuple[Any, Any]], bool, bool]:
    """The tokens without ^ in front and $ behind, which say nothing where the whole answer must fit."""
    first = (_constants.AT_BEGINNING, _constants.AT_BEGINNING_STRING)
    last = (_constants.AT_END, _constants.AT_END_STRING)
    begins = bool(tokens) and tokens[0][0] is _constants.AT and tokens[0][1] in first
    tokens = tokens[1:] if begins else tokens
    ends = bool(tokens) and tokens[-1][0] is _constants.AT and tokens[-1][1] in last
    return (tokens[:-1] if ends else tokens), begins, ends


class _Writer:
    """Writes the tokens of one pattern."""

    def __init__(self, pattern: str, ebnf: Ebnf, *, inside_json: bool) -> None:
        self._pattern, self._ebnf, self._inside_json = pattern, ebnf, inside_json
        self._deep = 1
        self._write: dict[Any, Callable[[Any], str]] = {
            _constants.LITERAL: lambda code: self._chars([(code, code)]),
            _constants.NOT_LITERAL: lambda code: self._chars([(code, code)], negated=True),
            _constants.ANY: lambda _: self._chars([_NEWLINE], negated=True),
            _constants.IN: self._set,
            _constants.BRANCH: lambda given: either(self.tokens(branch) for branch in given[1]),
            _constants.SUBPATTERN: self._group,
            _constants.ATOMIC_GROUP: self.tokens,
            _constants.MAX_REPEAT: self._repeat,
            _constants.MIN_REPEAT: self._repeat,
            _constants.POSSESSIVE_REPEAT: self._repeat,
        }

    def tokens(self, tokens: Tokens) -> str:
        return sequence(self._token(kind, given) for kind, given in tokens) if tokens else '""'

    def _token(self, kind: Any, given: Any) -> str:
        if kind in self._write:
            return self._write[kind](given)
        why = _REFUSED.get(kind, r"it asks where a word or the text begins, as \b does")
        raise SchemaInvalid(why=f"an answer cannot be held to {shown(self._pattern)}: {why}")

    def _group(self, given: Any) -> str:
        _, added, removed, inside = given
        if added or removed:
            raise SchemaInvalid(why=f"{shown(self._pattern)} has flags inside, which an answer cannot be held to")
        return self.tokens(inside)

    def _repeat(self, given: Any) -> str:
        least, most, inside = given
        endless = most is _constants.MAXREPEAT
        before, self._deep = self._deep, self._deep * (1 if endless else max(1, int(most)))
        if before > 1 and self._deep > DEEPEST:
            raise SchemaInvalid(why=f"{shown(self._pattern)} counts within what it counts, too far to be held to")
        written = self._ebnf.times(self.tokens(inside), int(least), None if endless else int(most))
        self._deep = before
        return written

    def _set(self, items: Tokens) -> str:
        negated = items[0][0] is _constants.NEGATE
        ranges = [found for item in items[negated:] for found in _ranges(*item)]
        return self._chars(ranges, negated=negated)

    def _chars(self, ranges: Iterable[Range], *, negated: bool = False) -> str:
        wanted = _complement(ranges) if negated else list(ranges)
        if self._inside_json:
            wanted = _complement([*_complement(wanted), *JSON_ESCAPED])
        if not wanted:
            raise SchemaInvalid(why=f"no character fits a part of {shown(self._pattern)}")
        return self._ebnf.chars(wanted)


JSON_ESCAPED: tuple[Range, ...] = ((0, 0x1F), (0x22, 0x22), (0x5C, 0x5C))
"""what stands in a JSON string only with a backslash"""


def _ranges(kind: Any, given: Any) -> Sequence[Range]:
    if kind is _constants.RANGE:
        return [given]
    if kind is _constants.CATEGORY:
        return _complement(_CATEGORIES[_NEGATED[given]]) if given in _NEGATED else _CATEGORIES[given]
    return [(given, given)]


_SURROGATES = (0xD800, 0xDFFF)


def _complement(ranges: Iterable[Range]) -> list[Range]:
    """All other characters. Surrogates are none: no text holds them."""
    left, start = [], 0
    for first, last in sorted([*ranges, _SURROGATES]):
        if start < first:
            left.append((start, first - 1))
        start = max(start, last + 1)
    return [*left, (start, LAST)] if start <= LAST else left
