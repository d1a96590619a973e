"""A member of an archive: what its header says of it, and where its bytes begin."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Protocol


class ArchiveBroken(Exception):
    """An archive that cannot be read, or no further than this; the text says why, as what it is or has."""


class ArchiveCut(ArchiveBroken):
    """An archive whose end is missing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One entry, as its archive describes it. Nothing of this is to be believed before the bytes are there."""

    name: bytes
    size: int
    start: int
    """where its bytes begin; in a zip its own header comes first"""
    is_folder: bool = False
    fault: str | None = None
    """why it is refused whatever it holds: a link, encrypted..."""
    packed: Packed | None = None
    """how a zip keeps it; a tar keeps bytes as they are"""


@dataclass(frozen=True, slots=True)
class Packed:
    """How the bytes of a member of a zip are kept."""

    method: int
    size: int
    crc: int


class Layout(Protocol):
    """How the entries of one archive follow each other. It holds no state: a reader may stop and go on anywhere."""

    first: int
    """the place of the first entry"""

    def entry(self, fd: int, place: int) -> tuple[Member | None, int]:
        """The entry at a place, and the place of the next; no member at the end. Raises ArchiveBroken."""


def plain_name(name: bytes) -> bytes:
    """`./a.jpg`, as `tar -c .` writes it, is `a.jpg`."""
    while name.startswith(b"./"):
        name = name[2:].lstrip(b"/")
    return name


def read_exactly(fd: int, size: int, place: int) -> bytes:
    """So many bytes from there on; fewer only where the file ends."""
    parts: list[bytes] = []
    while size > 0 and (part := os.pread(fd, size, place)):
        parts.append(part)
        size -= len(part)
        place += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
