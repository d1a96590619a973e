"""An occasion: on whose behalf a command runs, where that is not the person at the terminal."""

from __future__ import annotations

from dataclasses import dataclass

import click


@dataclass(frozen=True, kw_only=True, slots=True)
class Occasion:
    """What batches made on it are called, and what they name as their origin."""

    origin: str
    batch: str | None = None

    @classmethod
    def current(cls, command: str) -> Occasion:
        """That on which the command runs right now; its own where a person called it."""
        return click.get_current_context().find_object(cls) or cls(origin=command)
