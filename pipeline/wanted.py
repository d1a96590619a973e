"""Wanted: what a command's options ask about its inputs, row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.beside import Beside
from pipeline.inputs import Inputs
from pipeline.prompts import Defaults, Form
from pipeline.questions import Questions
from pipeline.settings import Settings
from pipeline.sources.rows import Rows
from pipeline.submit import Asking, Entry, ask


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a person wants to know, and of which model."""

    inputs: Inputs
    questions: Questions
    form: Form | None
    model: str
    """its alias"""
    defaults: Defaults

    @property
    def asking(self) -> Asking:
        return self.questions.asking(self.defaults, self.form)

    def rows(self, settings: Settings, *, note: Callable[[str], None]) -> Rows:
        rows = self.inputs.rows(
            settings,
            warn=note,
            asked=self.questions.asked,
            shaped=self.questions.given or self.form is not None,
            most_pictures=self.defaults.most_pictures,
        )
        return self.questions.checked(rows)

    def entries(self, settings: Settings, *, note: Callable[[str], None]) -> Iterator[Entry]:
        """Those of a large manifest are made in a process of their own."""
        apart = Beside(note)
        entries = ask(self.rows(settings, note=apart.note), self.asking, self.model)
        return apart.entries(entries) if self.inputs.is_large(settings) else entries

    def spec(self) -> dict[str, Any]:
        """As a batch keeps it, to know the same command again."""
        return {"model": self.model, **self.inputs.spec(), **self.questions.spec(), "form": self.form}
