"""Drops: what comes in with one folder becomes one batch, which ends once the folder is quiet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.errors import BatchUnknown
from pipeline.jobs import BatchState, Item
from pipeline.locators import Picture, display
from pipeline.options import Terms
from pipeline.sources.rows import Row
from pipeline.store import Store
from pipeline.store.values import InvalidRow
from pipeline.store.watched import WatchedFile
from pipeline.submit import Asking, Entry, ask

QUIET_S = 60.0
"""a drop without a new file for so long is over: its batch can end"""
LARGEST = 10_000
"""rows of a batch: more of the same drop become another"""
_OPEN = (BatchState.VALIDATING, BatchState.PAUSED)


@dataclass
class _Batch:
    id: int
    name: str
    rows: int
    used: float

    def places(self, files: Sequence[WatchedFile]) -> dict[WatchedFile, int]:
        """Each file's row, in the order of the rows. One that is asked about again keeps its own."""
        again = {file: file.row_no for file in files if file.batch_id == self.id and file.row_no is not None}
        known = dict(sorted(again.items(), key=lambda pair: pair[1]))
        return known | {
            file: self.rows + number for number, file in enumerate(one for one in files if one not in known)
        }


@dataclass
class Drops:
    """The batches of a watcher that still take files, by the folder these came in with."""

    store: Store
    origin: str
    spec: Mapping[str, Any]
    model: str
    asking: Asking
    terms: Terms
    columns: Callable[[str], Mapping[str, Any] | None]
    """what a row brings besides its picture, by the picture's locator"""
    _open: dict[str, _Batch] = field(default_factory=dict)

    def add(self, drop: str, files: Sequence[WatchedFile], now: float) -> dict[str, tuple[int, int]]:
        """Ask about files. Returns each one's batch and row."""
        batch = self._batch(drop, now)
        places = batch.places(files)
        rows = [
            Row(pictures=(Picture(file.locator, file.size, file.mtime_ns),), columns=self.columns(file.locator))
            for file in places
        ]
        numbers = list(places.values())
        self._add(batch.id, ask(rows, self.asking, self.model), numbers)
        batch.rows, batch.used = max(batch.rows, numbers[-1] + 1), now
        return {file.locator: (batch.id, row) for file, row in places.items()}

    def name(self, drop: str) -> str:
        return self._open[drop].name

    def end_quiet(self, now: float) -> None:
        for drop, batch in list(self._open.items()):
            if now - batch.used >= QUIET_S or batch.rows >= LARGEST:
                self._seal(drop)

    def end_all(self) -> None:
        for drop in list(self._open):
            self._seal(drop)

    def end_left_over(self) -> None:
        """What a killed watcher left open takes no more files."""
        for id, rows in self.store.watches.unsealed(self.origin):
            self.store.seal(id, rows)

    def _seal(self, drop: str) -> None:
        batch = self._open[drop]
        self.store.seal(batch.id, batch.rows)
        del self._open[drop]

    def _batch(self, drop: str, now: float) -> _Batch:
        found = self._open.get(drop)
        if found and self._takes_more(found):
            return found
        spec = {**self.spec, "drop": display(drop)}
        made = self.store.open_batch(
            None, origin=self.origin, spec=spec, lane=self.terms.lane, deadline=self.terms.deadline
        )
        self._open[drop] = _Batch(made.id, made.name, 0, now)
        return self._open[drop]

    def _takes_more(self, batch: _Batch) -> bool:
        try:
            return self.store.views.batch_head(batch.name).state in _OPEN
        except BatchUnknown:  # it was cancelled, then removed
            return False

    def _add(self, batch: int, entries: Iterable[Entry], rows: Sequence[int]) -> None:
        items: list[Item] = []
        invalid: list[InvalidRow] = []
        for entry in entries:
            if isinstance(entry, Item):
                items.append(entry._replace(row=rows[entry.row]))
            else:
                invalid.append(replace(entry, row=rows[entry.row]))
        if invalid:
            self.store.add_invalid(batch, invalid)
        if items:
            self.store.add(batch, items)
