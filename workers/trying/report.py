"""The report of a trial: the answers, and what all of the input would take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from pipeline.display import number, printable, rounded, things
from pipeline.store.rows import ItemRow
from workers.session import Outcome

WORKERS = 4
"""for how many workers the time is told besides one"""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was seen."""

    items: tuple[ItemRow, ...]
    in_all: int
    """pictures of the whole input, or rows where one has several"""
    unfit: int
    """rows of it that nobody can ask about"""
    outcome: Outcome
    command: str
    """which asks about all"""

    @property
    def rows(self) -> list[list[ItemRow]]:
        """The items, those about one row together."""
        return [list(items) for _, items in groupby(self.items, key=lambda item: item.row)]

    @property
    def seconds_each(self) -> float | None:
        """What a picture took with all its questions, the engine's start left out; none when nothing was asked."""
        asked = self.outcome.asked - self.outcome.cached
        working = self.outcome.seconds - self.outcome.engine.load_s
        if asked <= 0 or working <= 0 or not self.items:
            return None
        return working * len(self.items) / asked / len(self.rows)

    @property
    def seconds_for_all(self) -> float | None:
        each = self.seconds_each
        return None if each is None else each * self.in_all

    def estimate(self) -> Iterator[str]:
        """What all of it takes, in sentences."""
        whole = self.seconds_for_all
        if whole is None or self.seconds_each is None:
            yield self._unmeasured()
        else:
            what = things(self.in_all, "picture")
            yield (
                f"{self.seconds_each:.2g} s for a picture: your {what} take about {rough(whole)} on this machine,"
                f" {rough(whole / WORKERS)} on {_WORDS[WORKERS]} workers like it."
            )
        if self.outcome.interrupted:
            yield f"{things(self.outcome.counts.unfinished, 'answer')} still to come: the same command goes on."
        if self.unfit:
            yield f"{number(self.unfit)} rows cannot be asked about; --dry-run on all of it says why."

    def _unmeasured(self) -> str:
        """Why there is no speed."""
        if self.outcome.interrupted:
            return "It was stopped before a speed could be measured."
        if not self.outcome.counts.done:
            return "None of these pictures could be answered, so no speed was measured."
        return "All of these answers were known before, so no speed was measured; --force asks again."

    def lines(self) -> Iterator[str]:
        """The answers, below the names of their pictures."""
        for items in self.rows:
            yield names(items)
            for item in items:
                yield f"  {printable(item.question or '')}  {printable(said(item))}"

    def document(self) -> dict[str, object]:
        whole = self.seconds_for_all
        return {
            "answers": [_record(item) for item in self.items],
            "pictures_in_all": self.in_all,
            "rows_unfit": self.unfit,
            "seconds_per_picture": rounded(self.seconds_each, 3),
            "seconds_for_all": rounded(whole, 3),
            "seconds_for_all_on_four_workers": rounded(None if whole is None else whole / WORKERS, 3),
            "command": self.command,
            **self.outcome.document(),
        }


_WORDS = {4: "four"}


def rough(seconds: float) -> str:
    """About how long: 40 s, 12 min, 31 h, 5 days."""
    for most, unit, name in ((90, 1, "s"), (90 * 60, 60, "min"), (48 * 3600, 3600, "h")):
        if seconds < most:
            return f"{max(1, round(seconds / unit)):,} {name}"
    return f"{round(seconds / 86_400):,} days"


def names(items: Sequence[ItemRow]) -> str:
    """The pictures that a row's questions are about."""
    return ", ".join(picture.name for picture in items[0].pictures)


def said(item: ItemRow) -> str:
    """The answer, or why there is none."""
    return item.answer.text if item.answer else item.error or item.state


def _record(item: ItemRow) -> dict[str, object]:
    answer = item.answer
    return {
        "pictures": [picture.name for picture in item.pictures],
        "question": item.question,
        "text": answer.text if answer else None,
        "parsed": answer.parsed if answer else None,
        "error": None if answer else {"code": item.error_code, "message": item.error},
        "seconds": round(answer.total_s, 3) if answer else None,
    }
