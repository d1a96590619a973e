"""Columns: what a row holds besides pictures and questions, as JSON text and back."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any


class Spelled(Mapping[str, Any]):
    """Columns that are JSON text already: stored as they are, and only parsed for who looks into them."""

    __slots__ = ("_values", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._values: dict[str, Any] | None = None

    def __getitem__(self, name: str) -> Any:
        return self._parsed()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parsed())

    def __len__(self) -> int:
        return len(self._parsed())

    def _parsed(self) -> dict[str, Any]:
        if self._values is None:
            self._values = json.loads(self.text)
        return self._values


def spell(value: object) -> str:
    """JSON text as both databases take it: what is a number in Python alone, such as NaN, is null."""
    if isinstance(value, Spelled):
        return value.text
    try:
        return _encode(value)
    except ValueError:  # PostgreSQL would refuse it, and the whole transaction with it
        return _encode(_finite(value))


_encode = json.JSONEncoder(allow_nan=False).encode


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
