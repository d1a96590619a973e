"""A source: the file of a manifest, or standard input, as bytes that may be looked at ahead."""

from __future__ import annotations

import functools
import io
import os
import stat
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from pipeline.errors import UsageError
from pipeline.locators import printable
from pipeline.settings import Settings
from pipeline.sources.manifests.compression import Damaged, blocks

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer

STDIN = "-"
COMPRESSED = (".gz", ".zst")


class Source:
    """One file. It may be read several times, unless it is `once`."""

    def __init__(self, name: str, settings: Settings, option: str = "--manifest") -> None:
        self.name = name
        self.option = option
        self.longest_line = settings.max_line_bytes
        self.longest_field = settings.max_field_bytes
        self._head: bytes | None = None
        self._ahead: Iterator[bytes] | None = None
        self._read = False

    @property
    def shown(self) -> str:
        """What a person calls it."""
        return "standard input" if self.name == STDIN else printable(self.name)

    @functools.cached_property
    def once(self) -> bool:
        """Whether what was read is gone: of standard input, and of a pipe, such as a shell makes of <(zcat rows.gz)."""
        if self.name == STDIN:
            return True
        try:
            kind = os.stat(self.name).st_mode
        except OSError:  # said when it is opened
            return False
        return not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))

    @property
    def folder(self) -> Path:
        """Where the names in it start from."""
        return Path() if self.once else Path(self.name).parent

    @property
    def suffix(self) -> str:
        """What its name says about its format, without what says that it is compressed."""
        stem, suffix = os.path.splitext(self.name.lower())
        return os.path.splitext(stem)[1] if suffix in COMPRESSED else suffix

    @property
    def size(self) -> int:
        """The file's bytes, as it is stored; of what can be read once nobody knows. Raises UsageError."""
        try:
            return 0 if self.once else os.path.getsize(self.name)
        except OSError as error:
            raise self._unreadable(error) from error

    def head(self) -> bytes:
        """The first bytes; a later `blocks` gives them again."""
        if self._head is None:
            ahead = self.blocks()
            try:
                self._head = next((block for block in ahead if block), b"")
            except Damaged as error:
                raise UsageError(detail=f"{self.shown} cannot be read: {error}.") from error
            self._ahead = chain([self._head], ahead)
        return self._head

    def blocks(self) -> Iterator[bytes]:
        """All bytes, decompressed. Raises Damaged after the last that could be read."""
        if self._ahead is not None:
            ahead, self._ahead = self._ahead, None
            return ahead
        if self.once and self._read:
            raise UsageError(detail=f"This format is read twice, {self.shown} only once: save it as a file first.")
        self._read = True
        return self._blocks()

    def _blocks(self) -> Iterator[bytes]:
        if self.name == STDIN:
            yield from blocks(sys.stdin.buffer)
            return
        with self._open() as stream:
            yield from blocks(stream)

    def _open(self) -> BinaryIO:
        try:
            return Path(self.name).open("rb")
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> UsageError:
        return UsageError(detail=f"{self.option} {self.shown}: {(error.strerror or str(error)).lower()}")


class Stream(io.RawIOBase):
    """Blocks as a file, for code that reads one."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        if not self._rest:
            self._rest = memoryview(next((block for block in self._blocks if block), b""))
        into = memoryview(buffer)
        count = min(len(into), len(self._rest))
        into[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
