"""A picture's bytes, read once and never more of them than allowed."""

from __future__ import annotations

import os
from collections.abc import Sequence

from pipeline.errors import ImageTooLarge
from pipeline.files import Contents, opened

_CHUNK = 1 << 16


def read(path: bytes, *, max_bytes: int, roots: Sequence[bytes] | None = None) -> Contents:
    """The bytes of a regular file that lies, links followed, below one of the roots (none: anywhere)."""
    with opened(path, roots) as (fd, facts):
        return Contents(_read_up_to(fd, facts.st_size, max_bytes), facts.st_size, facts.st_mtime_ns)


def _read_up_to(fd: int, size: int, max_bytes: int) -> bytes:
    """All of the file. Its size is only a hint: files grow, and those of /proc say 0."""
    if size > max_bytes:
        raise ImageTooLarge(why=f"{size:,} bytes, the limit is {max_bytes:,}")
    chunks: list[bytes] = []
    got = 0
    while chunk := os.read(fd, max(size + 1 - got, _CHUNK)):
        chunks.append(chunk)
        got += len(chunk)
        if got > max_bytes:
            raise ImageTooLarge(why=f"more than {max_bytes:,} bytes")
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
