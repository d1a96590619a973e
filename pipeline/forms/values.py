"""What an answer says once its form is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.display import printable

SHOWN = 80


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer in the asked form: its text in the one spelling that the form has for it, and its value."""

    text: str
    value: Any


def shown(text: str) -> str:
    """A text within a sentence, on one line and not too long."""
    line = printable(text.strip())
    return repr(line if len(line) <= SHOWN else f"{line[: SHOWN - 1]}…")
