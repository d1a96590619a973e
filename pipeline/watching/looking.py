"""Looking: what lies in the folders is noted, by hints at once and by scans in the end."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.locators import locate
from pipeline.sources.paths import SUFFIXES
from pipeline.store.watched import FileState, Seen, WatchedFiles
from pipeline.watching import readiness
from pipeline.watching.events import Events
from pipeline.watching.folders import Folders
from pipeline.watching.plan import After, Plan
from pipeline.watching.rules import MARKER, Rules
from pipeline.watching.scan import look, scan
from pipeline.watching.telling import Tell

_AGAIN_S = (0.3, 2.0)
"""A folder that has just come is looked at again then: what was put into it before its events were heard
caused none."""


@dataclass(kw_only=True)
class Looking:
    """Notes files that are new or have changed."""

    files: WatchedFiles
    rules: Rules
    events: Events
    folders: Folders
    tell: Tell
    media_root: Path | None = None
    _scans: list[Iterator[list[Seen]]] = field(default_factory=list)
    _later: list[tuple[float, str]] = field(default_factory=list)
    _unread: set[str] = field(default_factory=set)
    """what was said about folders that cannot be read"""

    @property
    def scanning(self) -> bool:
        return bool(self._scans)

    @property
    def idle(self) -> bool:
        return not (self._scans or self._later)

    def dues(self) -> Iterator[float]:
        """When to look again."""
        yield from (due for due, _ in self._later)
        if (due := self.folders.next_due()) is not None:
            yield due

    def hear(self, now: float) -> None:
        """Look where hints say, and once more at folders that came a moment ago."""
        hints, too_many = self.events.heard()
        if too_many:
            self.folders.scan_soon()
        again = [path for due, path in self._later if due <= now]
        self._later = [(due, path) for due, path in self._later if due > now]
        paths = hints | dict.fromkeys(again, now)
        new = _topmost(path for path in paths if os.path.isdir(path) and not os.path.islink(path))
        self._scans += map(self._scanned, new)
        self._later += [(hints[path] + pause, path) for path in new if path in hints for pause in _AGAIN_S]
        for path in hints:
            if path.endswith(MARKER):
                self._hasten(path, now)
        wait_s = self.rules.plan.wait_s
        seen = ((look(self.rules, path, self.media_root), at + wait_s) for path, at in paths.items())
        self._note([(one, due) for one, due in seen if one], now)

    def scan(self, now: float) -> None:
        """Some of what is to be scanned; the rest in the next turns."""
        self._scans += map(self._scanned, self.folders.due(now))
        while self._scans:
            chunk = next(self._scans[0], None)
            if chunk is not None:
                self._note([(one, now + self.rules.plan.wait_s) for one in chunk], now)
                return
            del self._scans[0]

    def _scanned(self, folder: str) -> Iterator[list[Seen]]:
        return scan(self.rules, folder, self.media_root, self._unreadable)

    def _note(self, seen: Sequence[tuple[Seen, float]], now: float) -> None:
        if seen:
            self.files.note(seen, now=now, away=_away(self.rules.plan), reason=readiness.CHANGED)

    def _hasten(self, marker: str, now: float) -> None:
        base = marker.removesuffix(MARKER)
        endings = ["", *SUFFIXES, *map(str.upper, SUFFIXES)]
        self.files.hasten([locate(base + ending, self.media_root) for ending in endings], now)

    def _unreadable(self, text: str) -> None:
        if text not in self._unread:
            self._unread.add(text)
            self.tell("unreadable", text)


def _topmost(folders: Iterable[str]) -> list[str]:
    """Without those that lie in another one, which is looked into anyway."""
    found: list[str] = []
    for folder in sorted(folders, key=lambda one: os.path.join(one, "")):
        if not (found and folder.startswith(os.path.join(found[-1], ""))):
            found.append(folder)
    return found


def _away(plan: Plan) -> list[FileState]:
    """How files stand that a plan has moved or deleted."""
    fates = {FileState.DONE: plan.on_success, FileState.FAILED: plan.on_failure}
    return [state for state, fate in fates.items() if fate.after is not After.KEEP]
