"""Numbers: an answer that is one, in digits."""

from __future__ import annotations

import re
from typing import Any

from pipeline.errors import InvalidAnswer, SchemaInvalid
from pipeline.forms.ebnf import Ebnf, either, sequence
from pipeline.forms.values import Reading, shown

_DIGITS = (0x30, 0x39)
_NOT_ZERO = (0x31, 0x39)
MOST_DIGITS = 15
"""before the point: so many a float holds exactly"""
MOST_DECIMALS = 6


def check(form: Any) -> None:
    """Raises SchemaInvalid."""
    if not isinstance(form.get("integer", False), bool):
        raise SchemaInvalid(why="`integer` must be true or false")


def read(form: Any, text: str) -> Reading:
    """Raises InvalidAnswer."""
    bare, whole = text.strip().removesuffix("."), form.get("integer", False)
    if not re.fullmatch(r"-?[0-9]+" if whole else r"-?[0-9]+(\.[0-9]+)?", bare):
        raise InvalidAnswer(why=f"{shown(text)} is no {'whole ' if whole else ''}number")
    # Python reads no integer of more than some thousand digits; nor does a float hold more than some hundred.
    if len(bare) > 2 * MOST_DIGITS:
        raise InvalidAnswer(why=f"{shown(text)} has too many digits")
    return Reading(bare, float(bare) if "." in bare else int(bare))


def grammar(form: Any, ebnf: Ebnf) -> str:
    return written(ebnf, whole=form.get("integer", False))


def written(ebnf: Ebnf, *, whole: bool, negative: bool = True) -> str:
    """A number as JSON writes it too, without an exponent."""
    digits = ebnf.chars([_DIGITS])
    before = either([ebnf.literal("0"), sequence([ebnf.chars([_NOT_ZERO]), ebnf.times(digits, 0, MOST_DIGITS - 1)])])
    after = "" if whole else ebnf.times(sequence([ebnf.literal("."), ebnf.times(digits, 1, MOST_DECIMALS)]), 0, 1)
    sign = ebnf.times(ebnf.literal("-"), 0, 1) if negative else ""
    return sequence(part for part in (sign, before, after) if part)
