"""Deadlines as people write them: a span from now (90m, 24h, 2d) or a moment (2026-11-21T08:00)."""

from __future__ import annotations

import re
from datetime import datetime

from pipeline.errors import DeadlineUnfit

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])", re.IGNORECASE)
_DATE = len("2026-11-21")
_FARTHEST = 10 * 366 * _SECONDS["d"]
"""ten years: a longer span is a slip of the hand, and a calendar ends somewhere"""


def parse(text: str, now: float) -> float:
    """Seconds since 1970. A moment without an offset is of the local time zone. Raises DeadlineUnfit."""
    text = text.strip()
    seconds = span(text)
    found = _moment(text) if seconds is None else now + seconds
    if found <= now:
        raise DeadlineUnfit(text=text, why="has passed already")
    if found > now + _FARTHEST:
        raise DeadlineUnfit(text=text, why="is more than ten years away")
    return found


def span(text: str) -> float | None:
    """How many seconds 90m, 24h or 2d are; none when it is no span."""
    found = _SPAN.fullmatch(text.strip())
    return float(found[1]) * _SECONDS[found[2].lower()] if found else None


def _moment(text: str) -> float:
    try:
        found = datetime.fromisoformat(text)
        seconds = found.timestamp()
    except (ValueError, OverflowError):
        raise DeadlineUnfit(text=text, why="is neither a span nor a moment") from None
    if len(text) <= _DATE:
        raise DeadlineUnfit(text=text, why="names no time of the day")
    return seconds
