"""Events: hints from the kernel about where to look next. None of them is relied upon."""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Callable

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from pipeline.watching.limits import allows_more

# It calls it an error that it was stopped.
logging.getLogger("watchdog").setLevel(logging.CRITICAL)

MOST = 20_000
"""hints that are kept; when there are more, all is scanned"""
# Not "opened": the watcher opens files itself.
_KINDS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileClosedEvent,
    DirCreatedEvent,
    DirMovedEvent,
]


class Events(FileSystemEventHandler):
    """Collects hints: paths with the moment of the last event about each."""

    def __init__(self, wake: Callable[[], None], clock: Callable[[], float]) -> None:
        self._wake, self._clock = wake, clock
        self._lock = threading.Lock()
        self._hints: dict[str, float] = {}
        self._too_many = False
        self._has_grown = False
        self._watches: dict[str, ObservedWatch] = {}
        # Folders made in quick succession are followed twice at first, which watchdog 7 warns of and then does right.
        warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)
        self._observer: BaseObserver | None = None

    def close(self) -> None:
        if self._observer:
            self._observer.stop()
            self._observer.join()

    def follow(self, folder: str) -> None:
        """Hear of a folder and all below. Raises OSError, as where one of the system's limits is reached."""
        self.forget(folder)
        self._has_grown = True
        observer = self._observer = self._observer or _started()
        self._watches[folder] = observer.schedule(self, folder, recursive=True, event_filter=_KINDS)

    def forget(self, folder: str) -> None:
        if self._observer and (watch := self._watches.pop(folder, None)):
            self._observer.unschedule(watch)

    def deaf(self, folder: str) -> bool:
        """Whether nothing is heard of a folder any more that was followed."""
        watch = self._watches.get(folder)
        if self._observer is None or watch is None:
            return False
        return not any(emitter.watch == watch and emitter.is_alive() for emitter in self._observer.emitters)

    def overlooks(self) -> bool:
        """Whether folders came for which the system's limit may have left no room."""
        with self._lock:
            grown, self._has_grown = self._has_grown, False
        return grown and not allows_more()

    def heard(self) -> tuple[dict[str, float], bool]:
        """The hints since the last call, and whether there were too many to keep."""
        with self._lock:
            found, self._hints = self._hints, {}
            too_many, self._too_many = self._too_many, False
        return found, too_many

    def on_any_event(self, event: FileSystemEvent) -> None:
        path = os.fsdecode(event.dest_path if isinstance(event, FileMovedEvent | DirMovedEvent) else event.src_path)
        with self._lock:
            first = not self._hints
            self._has_grown |= event.is_directory
            if len(self._hints) < MOST:
                self._hints[path] = self._clock()
            else:
                self._too_many = True
        if first:
            self._wake()


def _started() -> BaseObserver:
    observer = Observer()
    observer.daemon = True
    observer.start()
    return observer
