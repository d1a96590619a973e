"""Archives: which members a zip or tar file has, read one at a time and never unpacked to disk."""

from __future__ import annotations

import os
from collections.abc import Iterator

from pipeline.archives import zips
from pipeline.archives.members import ArchiveBroken, Layout, Member, read_exactly
from pipeline.archives.tars import BLOCK, Tar, is_header

SUFFIXES = (".zip", ".tar")
"""an archive is known by its name, so that nothing is opened to find out"""
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


def is_archive(path: str) -> bool:
    return path.lower().endswith(SUFFIXES)


def layout(fd: int) -> Layout:
    """How the archive is laid out, by its content. Raises ArchiveBroken when it is none."""
    size = os.fstat(fd).st_size
    beginning = read_exactly(fd, BLOCK, 0)
    if not beginning:
        raise ArchiveBroken("is empty (0 bytes)")
    if beginning.startswith(zips.MEMBER):
        return zips.layout(fd, size)
    if len(beginning) == BLOCK and (is_header(beginning) or not any(beginning)):
        return Tar(size)
    for magic, name in _COMPRESSED.items():
        if beginning.startswith(magic):
            raise ArchiveBroken(f"is compressed as a whole ({name}), so that no member can be read by itself")
    try:
        return zips.ZipDirectory.of(fd, size)  # also one without members, or behind an installer
    except ArchiveBroken:
        raise ArchiveBroken("is neither a zip nor a tar file") from None


def members(fd: int) -> Iterator[Member]:
    """All entries in the archive's order. Raises ArchiveBroken where it breaks."""
    found = layout(fd)
    member, place = found.entry(fd, found.first)
    while member is not None:
        yield member
        member, place = found.entry(fd, place)
