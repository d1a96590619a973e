"""Records: what a manifest holds line by line, before its columns mean anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Broken:
    """A line that could not be read, and why."""

    why: str


Record = tuple[int, dict[str, Any] | Broken]
"""where it stands, counted from 1, and what it holds. Plain: a dataclass would cost a million rows half a second"""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Records with names for what is in them."""

    names: tuple[str, ...]
    records: Iterator[Record]
    unit: str = "line"
    """what its numbers count"""
    meaning: Mapping[str, str] = field(default_factory=dict)
    """role -> column, where the format says so itself"""
