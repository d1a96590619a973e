"""Tar files: a header of 512 bytes before each member, read without looking at the members.

The standard library's reader keeps all members it has seen, and takes an extended header of any size into memory
(CPython 3.11, 0.4 GB for a million): here nothing is kept, and a header has a limit.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import NoReturn, Self

from pipeline.archives.members import ArchiveBroken, ArchiveCut, Member, plain_name, read_exactly

BLOCK = 512
LONGEST = 1 << 20
"""of an extended header; the path in one has some thousand bytes at most"""

_EMPTY = bytes(BLOCK)
_HEADER = struct.Struct("100s24x12s12x8s1s100x6s82x155s12x")
_CHECKSUM = slice(148, 156)
_MAP_GOES_ON, _MAP_GOES_ON_STILL = 482, 504
"""the bytes that say whether another block of the map of holes follows, in a header and in such a block"""
_WITH_PREFIX = b"ustar\0"
_FOLDER, _SPARSE = b"5", b"S"
_LONG_NAME, _PAX = b"L", (b"x", b"X")
_BESIDE = (b"K", b"g", b"V")
"""long targets of links, headers for all members, labels: nothing here needs them"""
_LINK = "it is a link, and links in archives are not followed"
_DEVICE = "it is a device or a pipe"
_FAULTS = {
    b"1": _LINK,
    b"2": _LINK,
    b"3": _DEVICE,
    b"4": _DEVICE,
    b"6": _DEVICE,
    _SPARSE: "it is stored with holes (as a sparse file), which is not supported",
}
_RECORD = re.compile(rb"(\d{1,7}) ([^=]+)=")


class Tar:
    """The layout of a tar file of that size."""

    first = 0

    def __init__(self, size: int) -> None:
        self._size = size

    def entry(self, fd: int, place: int) -> tuple[Member | None, int]:
        said = _Said()
        while (header := self._header(fd, place)) is not None:
            body = place + BLOCK
            if header.kind == _LONG_NAME:
                said.name = self._text(fd, header, body).partition(b"\0")[0]
            elif header.kind in _PAX:
                said.read(self._text(fd, header, body), body)
            elif header.kind not in _BESIDE:
                return self._member(header, self._behind_map(fd, body) if header.has_map else body, said)
            place = _next(body, header.size)
        return None, place

    def _header(self, fd: int, place: int) -> _Header | None:
        if place > self._size:
            raise self._cut("a header")
        block = read_exactly(fd, BLOCK, place)
        if not block or block == _EMPTY:
            return None
        if len(block) < BLOCK:
            raise self._cut("a header")
        if not is_header(block):
            raise ArchiveBroken(f"has something else at byte {place:,}, where the next member should begin")
        return _Header.of(block, place)

    def _text(self, fd: int, header: _Header, body: int) -> bytes:
        """What stands in an extended header."""
        if header.size > LONGEST:
            raise ArchiveBroken(f"has a header of {header.size:,} bytes at byte {body:,}")
        text = read_exactly(fd, header.size, body)
        if len(text) < header.size:
            raise self._cut("a header")
        return text

    def _behind_map(self, fd: int, place: int) -> int:
        while (block := read_exactly(fd, BLOCK, place)) and len(block) == BLOCK and block[_MAP_GOES_ON_STILL]:
            place += BLOCK
        return place + BLOCK

    def _member(self, header: _Header, body: int, said: _Said) -> tuple[Member, int]:
        name = plain_name(said.name or header.name)
        is_folder = header.kind == _FOLDER or name.endswith(b"/")
        fault = _FAULTS[_SPARSE] if said.sparse else _FAULTS.get(header.kind)
        size = header.size if said.size is None else said.size
        if is_folder or fault in (_LINK, _DEVICE):
            size = 0  # some writers note the size of what a link leads to
        if body + size > self._size:
            raise self._cut(repr(name.decode("utf-8", "replace")))
        return Member(name=name, size=size, start=body, is_folder=is_folder, fault=fault), _next(body, size)

    def _cut(self, within: str) -> ArchiveCut:
        return ArchiveCut(f"is cut off after byte {self._size:,}, within {within}")


@dataclass(frozen=True, slots=True)
class _Header:
    """What one block says."""

    name: bytes
    size: int
    kind: bytes
    has_map: bool
    """whether a map of holes stands between it and the bytes"""

    @classmethod
    def of(cls, block: bytes, place: int) -> Self:
        name, size, _, kind, magic, prefix = _HEADER.unpack(block)
        name, prefix = name.partition(b"\0")[0], prefix.partition(b"\0")[0]
        if prefix and magic == _WITH_PREFIX:
            name = prefix + b"/" + name
        return cls(name, _number(size, place), kind, has_map=kind == _SPARSE and bool(block[_MAP_GOES_ON]))


@dataclass(slots=True)
class _Said:
    """What extended headers say in advance about the member that follows."""

    name: bytes | None = None
    size: int | None = None
    sparse: bool = False

    def read(self, text: bytes, place: int) -> None:
        """The lines of a pax header: `LENGTH KEY=VALUE`."""
        at = 0
        while at < len(text) and text[at]:
            record = _RECORD.match(text, at)
            end = at + int(record[1]) if record else 0
            if record is None or not record.end() < end <= len(text):
                raise ArchiveBroken(f"has a broken header at byte {place:,}")
            self._take(record[2], text[record.end() : end - 1], place)
            at = end

    def _take(self, key: bytes, value: bytes, place: int) -> None:
        if key == b"path":
            self.name = value
        elif key == b"size":
            self.size = int(value) if re.fullmatch(rb"\d{1,19}", value) else _without_size(place)
        elif key.startswith(b"GNU.sparse."):
            self.sparse = True


def is_header(block: bytes) -> bool:
    """Whether a block has the checksum of a tar header: all its bytes, with blanks where the sum stands."""
    try:
        noted = int(block[_CHECKSUM].strip(b"\0 "), 8)
    except ValueError:
        return False
    total = sum(block) - sum(block[_CHECKSUM]) + 8 * ord(" ")
    return noted == total or noted == total - 256 * sum(byte > 127 for byte in block)  # old writers': with signs


def _next(body: int, size: int) -> int:
    return body + -(-size // BLOCK) * BLOCK


def _number(field: bytes, place: int) -> int:
    """Octal digits, or for files of 8 GiB and more the number's own bytes."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b"\0 ") or b"0"
    return int(digits, 8) if re.fullmatch(rb"[0-7]+", digits) else _without_size(place)


def _without_size(place: int) -> NoReturn:
    raise ArchiveBroken(f"has a header at byte {place:,} that gives no size")
