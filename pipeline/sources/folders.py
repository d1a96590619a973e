"""What lies in a folder, by name, without what systems and programs leave there for themselves."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

Note = Callable[[str, OSError], None]
"""is told which folder could not be read, and why"""

_LITTER = frozenset(
    {"@eadir", "#recycle", "$recycle.bin", "__macosx", "lost+found", "system volume information", "thumbs.db"}
)


def entries(folder: str, note: Note) -> list[os.DirEntry[str]]:
    """The entries that people mean, sorted so that each run sees the same order."""
    try:
        with os.scandir(folder or os.curdir) as found:
            return sorted((entry for entry in found if not is_litter(entry.name)), key=lambda entry: entry.name)
    except OSError as error:
        note(folder, error)
        return []


def subfolders(folder: str, note: Note) -> Iterator[str]:
    """The folder itself and all below it. Links are not entered: they lead outside, or round in circles."""
    waiting = [folder]
    while waiting:
        folder = waiting.pop()
        yield folder
        inside = [entry.name for entry in entries(folder, note) if is_folder(entry) and not entry.is_symlink()]
        waiting += (os.path.join(folder, name) for name in reversed(inside))


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def is_litter(name: str) -> bool:
    return name.startswith(".") or name.lower() in _LITTER
