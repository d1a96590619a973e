"""Amounts as people write them: 500000, 64M, 64Mi, 1.5 GB."""

from __future__ import annotations

import re

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?i?)b?", re.ASCII)


def parse(text: str) -> int:
    """A whole number above zero, with or without a unit and a B. Raises ValueError with the reason."""
    found = _AMOUNT.fullmatch(text.strip().lower())
    if not found or found[2] not in _UNITS or (number := int(float(found[1]) * _UNITS[found[2]])) < 1:
        raise ValueError("it must be a whole number above zero, such as 500000 or 64M")
    return number
