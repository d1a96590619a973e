"""A rehearsal: what a command would ask, and how long that would take, without asking it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

import click

from pipeline.display import counted, duration, echo_json, number, things
from pipeline.store import Store
from pipeline.store.pace import Pace
from pipeline.store.values import Added, InvalidRow
from pipeline.submit import Entry, rehearse

SHOWN = 10
"""so many of the rows that cannot be asked about are told with their reason"""


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """What would become of the entries."""

    added: Added
    errors: tuple[str, ...]
    """why rows cannot be asked about: the first few"""
    pace: Pace | None

    @property
    def seconds(self) -> float | None:
        """What is to be asked would take so long, as quickly as the model answered of late."""
        return None if self.pace is None else self.added.unfinished / self.pace.rate

    def document(self) -> dict[str, object]:
        rate = None if self.pace is None else round(self.pace.rate, 3)
        seconds = None if self.seconds is None else round(self.seconds, 1)
        return {**asdict(self.added), "errors": list(self.errors), "answers_per_second": rate, "seconds": seconds}

    def sentences(self) -> Iterator[str]:
        added = self.added
        parts = {"to ask": added.new + added.requeued, "already waiting": added.linked_pending}
        parts |= {"that earlier answers decide about": added.waiting, "that cannot be asked about": added.invalid}
        asked = counted(parts) if any(parts.values()) else "Nothing to ask"
        yield f"{asked}; {number(added.linked_done)} known already."
        yield from (f"  {error}" for error in self.errors)
        if added.invalid > len(self.errors):
            yield f"  and {things(added.invalid - len(self.errors), 'more such row')}"
        if added.unfinished:
            yield self._time()

    def _time(self) -> str:
        if self.pace is None or self.seconds is None:
            return "How long it takes cannot be said: no rate known yet."
        measured = f"as measured on the last {things(self.pace.answers, 'answer')} of this model"
        return f"About {duration(self.seconds)} at {self.pace.rate:,.1f} answers/s, {measured}."


def rehearsal(store: Store, entries: Iterable[Entry], *, model: str, force: bool = False) -> Rehearsal:
    """What would become of the entries, which are all looked at."""
    errors: list[str] = []

    def watched() -> Iterator[Entry]:
        for entry in entries:
            if isinstance(entry, InvalidRow) and len(errors) < SHOWN:
                errors.append(entry.message)
            yield entry

    added = rehearse(store, watched(), force=force)
    return Rehearsal(added=added, errors=tuple(errors), pace=store.views.pace(model))


def show(rehearsed: Rehearsal, *, as_json: bool) -> None:
    if as_json:
        echo_json(rehearsed.document())
        return
    for sentence in rehearsed.sentences():
        click.echo(sentence)
