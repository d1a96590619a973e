"""A locator: where a picture is, never what it holds.

    media:rel/path       below PIXMILL_MEDIA_ROOT, which each host may mount elsewhere
    file:///path         anywhere else on this host

Names are percent-encoded from their bytes, so every file name survives, also one that is no UTF-8.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes

MEDIA = "media:"
FILE = "file://"
_SAFE = "/!$&'()*+,-.:;=@_~"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it was named: its locator, and the size and mtime its file had then (none: not there)."""

    locator: str
    size: int | None = None
    mtime_ns: int | None = None

    @classmethod
    def at(cls, path: str | os.PathLike[str], media_root: Path | None) -> Picture:
        locator = locate(path, media_root)
        try:
            found = os.stat(path)
        except (OSError, ValueError):
            return cls(locator)
        return cls(locator, found.st_size, found.st_mtime_ns)


def locate(path: str | os.PathLike[str], media_root: Path | None) -> str:
    """The locator of a file: relative to the media root below it, absolute elsewhere."""
    absolute = _absolute(os.fspath(path))
    if media_root is not None:
        root = _root(media_root)
        if absolute.startswith(root):
            return MEDIA + _encode(absolute[len(root) :])
    return FILE + _encode(absolute)


def open_path(locator: str, media_root: Path | None) -> str | None:
    """The path a locator names on this host, or none when it is no file here."""
    if locator.startswith(FILE):
        return _decode(locator[len(FILE) :])
    if locator.startswith(MEDIA) and media_root is not None:
        return _root(media_root) + _decode(locator[len(MEDIA) :])
    return None


def display(locator: str) -> str:
    """A locator as a person reads it."""
    for scheme in (FILE, MEDIA):
        if locator.startswith(scheme):
            return printable(_decode(locator[len(scheme) :]))
    return locator


def printable(path: str) -> str:
    """A path as a person reads it: one line, also when its name has line breaks or bytes that are no text."""
    name = os.fsencode(path).decode("utf-8", "replace")
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)


def _root(folder: Path) -> str:
    return os.path.join(os.path.abspath(folder), "")


def _absolute(path: str) -> str:
    # Behind a linked folder, ".." is not the folder named before it: only the file system knows where it leads.
    return os.path.realpath(path) if os.pardir in path.split(os.sep) else os.path.abspath(path)


def _encode(path: str) -> str:
    return quote_from_bytes(os.fsencode(path), safe=_SAFE)


def _decode(text: str) -> str:
    return os.fsdecode(unquote_to_bytes(text))
