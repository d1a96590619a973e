"""Taking: files that are ready are asked about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.store.watched import Wait, WatchedFile
from pipeline.watching import readiness
from pipeline.watching.drops import Drops
from pipeline.watching.records import Records
from pipeline.watching.rules import Rules

MOST_TAKEN = 2_048
"""Files whose answers are waited for. What else is ready waits in the store: so a small drop that comes later
stands behind no more than these."""
_SHARE = 0.1
"""Share of the time that looking for what is ready may take: it looks through all that waits."""


@dataclass(kw_only=True)
class Taking:
    """Asks about files, some at a time."""

    records: Records
    rules: Rules
    drops: Drops
    clock: Callable[[], float]
    next: float = float("-inf")
    """not to look for what is ready before"""

    @property
    def full(self) -> bool:
        return self.records.open >= MOST_TAKEN

    def take(self, now: float) -> None:
        """Ask about files that are ready."""
        due = None if self.full or now < self.next else self.records.files.next_due()
        if due is None or due > now:
            return
        begun = self.clock()
        files = self.records.files.ready(now=now, limit=MOST_TAKEN - self.records.open)
        self.next = now + (self.clock() - begun) / _SHARE
        self._sort(files, now)

    def _sort(self, files: Sequence[WatchedFile], now: float) -> None:
        ready: defaultdict[str, list[WatchedFile]] = defaultdict(list)
        waits: list[tuple[WatchedFile, Wait]] = []
        gone: dict[WatchedFile, str] = {}
        for file in files:
            path = self.records.path(file)
            if why := self.rules.why_not(path):  # the rules of an earlier start let it in
                gone[file] = f"it is left alone now, since {why}"
                continue
            found = readiness.judge(file, path, self.rules.plan, now)
            if found is None:
                ready[file.drop].append(file)
            elif isinstance(found, Wait):
                waits.append((file, found))
            else:
                gone[file] = "it went before it could be taken"
        self.records.wait(waits, now)
        self.records.gone(gone, now)
        for drop, some in ready.items():
            rows = self.drops.add(drop, some, now)
            self.records.take(some, rows, self.drops.name(drop), now)
