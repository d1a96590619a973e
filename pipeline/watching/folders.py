"""Folders: whether those that are watched are there, and how their changes are noticed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline import mounts
from pipeline.locators import printable
from pipeline.watching.events import Events
from pipeline.watching.plan import POLL_S, Plan
from pipeline.watching.telling import Tell

_OF_THE_HOST = frozenset({"prl_fs", "vboxsf", "virtiofs"})
"""by which a virtual machine sees folders of the machine it runs on"""
_NO_MORE = "since the system lets no more folders be listened to"


@dataclass
class _Folder:
    path: str
    identity: tuple[int, int] | None = None
    """none: it was not there, or not readable, when it was looked at last"""
    polled: bool = False
    due: float = 0.0
    """when to scan it next"""
    reported: bool = False


@dataclass
class Folders:
    """The watched folders. Events are only hints: each folder is scanned again and again besides."""

    plan: Plan
    events: Events
    tell: Tell
    _all: list[_Folder] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._all = [_Folder(path) for path in self.plan.folders]

    def look(self) -> None:
        """Whether each is there still, and is the same. One that vanished is waited for."""
        for folder in self._all:
            identity, why = _identity(folder.path)
            if identity is None and not folder.reported:
                folder.reported = True
                self.events.forget(folder.path)
                text = f"{printable(folder.path)} {why}." + (" Waiting for it." if not self.plan.oneshot else "")
                self.tell("folder_lost", text, path=folder.path)
            elif identity is not None and (identity != folder.identity or self.events.deaf(folder.path)):
                self._follow(folder)
            folder.identity = identity
        if self.events.overlooks():
            for folder in self._all:
                if folder.identity and not folder.polled:
                    self._say_how(folder, f"{_NO_MORE} (fs.inotify.max_user_watches)")

    def due(self, now: float) -> Iterator[str]:
        """The folders to scan now."""
        for folder in self._all:
            if folder.identity is not None and folder.due <= now:
                folder.due = now + self._pause(folder)
                yield folder.path

    def next_due(self) -> float | None:
        return min((folder.due for folder in self._all if folder.identity), default=None)

    def scan_soon(self) -> None:
        for folder in self._all:
            folder.due = 0.0

    @property
    def all_there(self) -> bool:
        return all(folder.identity for folder in self._all)

    def _follow(self, folder: _Folder) -> None:
        if folder.reported:
            self.tell("folder_back", f"{printable(folder.path)} is there.", path=folder.path)
        folder.reported = False
        why = "as --poll says" if self.plan.poll is not None else _without_events(folder.path)
        if why is None:
            try:
                self.events.follow(folder.path)
            except OSError as error:
                why = f"{_NO_MORE} ({(error.strerror or str(error)).lower()})"
        self._say_how(folder, why)

    def _say_how(self, folder: _Folder, why_polled: str | None) -> None:
        folder.polled = why_polled is not None
        folder.due = 0.0
        how = f"by looking every {self._pause(folder):g} s, {why_polled}" if folder.polled else "by events"
        text = f"Watching {printable(folder.path)} {how}; all is looked at again every {self.plan.rescan:g} s."
        self.tell("watching", text, path=folder.path, polled=folder.polled)

    def _pause(self, folder: _Folder) -> float:
        return min(self.plan.rescan, self.plan.poll or POLL_S) if folder.polled else self.plan.rescan


def _identity(path: str) -> tuple[tuple[int, int] | None, str]:
    try:
        facts = os.stat(path)
        with os.scandir(path):
            return (facts.st_dev, facts.st_ino), ""
    except FileNotFoundError:
        return None, "is not there"
    except NotADirectoryError:
        return None, "is no folder any more"
    except OSError as error:
        return None, f"cannot be read: {(error.strerror or str(error)).lower()}"


def _without_events(path: str) -> str | None:
    """Other hosts' changes cause no events here, and many FUSE file systems send none at all."""
    kind = mounts.kind(Path(path))
    if kind in mounts.NETWORK or kind in _OF_THE_HOST or kind.startswith("fuse"):
        return f"since {kind} sends no events"
    return None
