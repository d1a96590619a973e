"""Patterns that no shell expanded: `*`, `?` and `[...]` within a name, `**` for any folders.

Unlike the standard library's, these come in order, lazily, and enter neither links nor hidden folders.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import dropwhile

from pipeline.sources.folders import Note, entries, is_folder, subfolders

_MAGIC = re.compile(r"[*?[]")
ANY_FOLDERS = "**"


def is_pattern(path: str) -> bool:
    return bool(_MAGIC.search(path))


def expand(pattern: str, note: Note) -> Iterator[str]:
    """The existing paths a pattern matches."""
    parts = [part for part in pattern.split("/") if part]
    yield from _expand("/" if pattern.startswith("/") else "", parts, note)


def _expand(folder: str, parts: Sequence[str], note: Note) -> Iterator[str]:
    first, *rest = parts
    if first == ANY_FOLDERS:
        below = list(dropwhile(ANY_FOLDERS.__eq__, rest)) or ["*"]
        for place in subfolders(folder, note):
            yield from _expand(place, below, note)
        return
    for path, enterable in _step(folder, first, note):
        if not rest:
            yield path
        elif enterable:
            yield from _expand(path, rest, note)


def _step(folder: str, part: str, note: Note) -> Iterator[tuple[str, bool]]:
    """What one part of a pattern matches in a folder, and whether it can be entered."""
    if not is_pattern(part):
        path = os.path.join(folder, part)
        if os.path.lexists(path):
            yield path, os.path.isdir(path)
        return
    for entry in entries(folder, note):
        if fnmatchcase(entry.name, part):
            yield os.path.join(folder, entry.name), is_folder(entry)
