"""A locator: where a picture is, never what it holds.

    media:rel/path       below PIXMILL_MEDIA_ROOT, which each host may mount elsewhere
    file:///path         anywhere else on this host
    archive#member       inside of a zip or tar file, which one of the two above names
    blob:sha256          came inside of a row, and lies under its digest in a folder of ours (`pipeline.blobs`)

Names are percent-encoded from their bytes, so every file name survives, also one that is no UTF-8.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

MEDIA = "media:"
FILE = "file://"
INSIDE = "#"
"""between an archive and its member; in names themselves it is encoded"""
BLOB = "blob:"
_MEMBER = re.compile(r"(.*?\.(?:zip|tar))#(.+)", re.IGNORECASE | re.DOTALL)
_SAFE = "/!$&'()*+,-.:;=@_~"


class Picture(NamedTuple):
    """A picture as it was named: its locator, and the size and mtime its file had then (none: not there).

    For a member of an archive these are the archive's: one look at the file tells whether it is still the same.
    """

    locator: str
    size: int | None = None
    mtime_ns: int | None = None

    @classmethod
    def at(cls, path: str | os.PathLike[str], media_root: Path | None, member: str | None = None) -> Picture:
        locator = locate(path, media_root, member)
        try:
            found = os.stat(path)
        except (OSError, ValueError):
            return cls(locator)
        return cls(locator, found.st_size, found.st_mtime_ns)


def locate(path: str | os.PathLike[str], media_root: Path | None, member: str | None = None) -> str:
    """The locator of a file, or of a member inside of it: relative to the media root below it, absolute elsewhere."""
    if member is not None:
        return within(locate(path, media_root), member)
    absolute = _absolute(os.fspath(path))
    if media_root is not None:
        root = _root(media_root)
        if absolute.startswith(root):
            return MEDIA + _encode(absolute[len(root) :])
    return FILE + _encode(absolute)


def parted(path: str) -> tuple[str, str | None]:
    """A path as a file and the member that is meant inside of it, unless a file has all of this as its name."""
    parts = _MEMBER.fullmatch(path)
    if parts is None or os.path.lexists(path):
        return path, None
    return parts[1], parts[2]


def within(archive: str, member: str) -> str:
    """The locator of a member inside of an archive's."""
    return archive + INSIDE + _encode(member)


def open_path(locator: str, media_root: Path | None, blobs: Path | None = None) -> str | None:
    """The path of the file a locator names on this host, or none when it is no file here."""
    if locator.startswith(BLOB):
        return None if blobs is None else str(blob_path(blobs, locator[len(BLOB) :]))
    file = locator.partition(INSIDE)[0]
    if file.startswith(FILE):
        return _decode(file[len(FILE) :])
    if file.startswith(MEDIA) and media_root is not None:
        return _root(media_root) + _decode(file[len(MEDIA) :])
    return None


def blob_path(blobs: Path, sha256: str) -> Path:
    """Where content with this digest lies: two levels of folders keep each of them small."""
    return blobs / sha256[:2] / sha256[2:4] / sha256


def open_member(locator: str) -> str | None:
    """The member a locator names inside of its file, or none when it means the file itself."""
    _, inside, member = locator.partition(INSIDE)
    return _decode(member) if inside and locator.startswith((FILE, MEDIA)) else None


def display(locator: str) -> str:
    """A locator as a person reads it."""
    for scheme in (FILE, MEDIA):
        if locator.startswith(scheme):
            return printable(_decode(locator[len(scheme) :]))
    return locator


def printable(path: str) -> str:
    """A path as a person reads it: one line, also when its name has line breaks or bytes that are no text."""
    if path.isprintable():
        return path
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
