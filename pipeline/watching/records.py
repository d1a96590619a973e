"""Records: what becomes of a watcher's files, as it is stored and told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import DatabaseBusy, DatabaseFull, DatabaseUnreachable
from pipeline.locators import open_path, printable
from pipeline.store.watched import FileState, Wait, WatchedFile, WatchedFiles
from pipeline.watching.telling import Tell

STORE_AWAY = (DatabaseBusy, DatabaseFull, DatabaseUnreachable)
"""what passes by itself, or once a person has made room"""


@dataclass(kw_only=True)
class Records:
    """The files of a watch in the store, and who is told."""

    files: WatchedFiles
    tell: Tell
    media_root: Path | None = None
    taken: int = 0
    """how many files were asked about and are not seen to yet"""
    held: set[str] = field(default_factory=set)
    """those of them whose questions have ended, where what is to be done then could not be done yet"""

    @property
    def open(self) -> int:
        """How many files wait for their answers."""
        return self.taken - len(self.held)

    def path(self, file: WatchedFile) -> str:
        return open_path(file.locator, self.media_root) or file.locator

    def take(self, files: Sequence[WatchedFile], rows: Mapping[str, tuple[int, int]], batch: str, now: float) -> None:
        """These were asked about, in this batch."""
        self.files.take(rows, now)
        self.taken += len(files)
        for file in files:
            if not file.tries:
                self.tell("taken", None, path=self.path(file), batch=batch)

    def wait(self, waits: Sequence[tuple[WatchedFile, Wait]], now: float) -> None:
        """These wait on; why is told when it is new."""
        self.files.wait([wait for _, wait in waits], now)
        for file, wait in waits:
            if wait.tries and wait.reason != file.reason:
                path = self.path(file)
                self.tell("waiting", f"{printable(path)} waits: {wait.reason}.", path=path, reason=wait.reason)

    def gone(self, files: Mapping[WatchedFile, str], now: float) -> None:
        """These are not there any more, or not meant any more: why, in words that follow the name."""
        self.files.end({file.locator: (FileState.GONE, why) for file, why in files.items()}, now)
        for file, why in files.items():
            path = self.path(file)
            self.tell("gone", f"{printable(path)}: {why}.", path=path, reason=why)
