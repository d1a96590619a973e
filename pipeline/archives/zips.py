"""Zip files: a directory of all members at the end, or where that is missing, the headers before each.

The standard library's reader makes an object of each member before it gives out the first (CPython 3.11: 0.5 GB
for a million): here members come one at a time, under their names as bytes.
"""

from __future__ import annotations

import stat
import struct

from pipeline.archives.members import ArchiveBroken, ArchiveCut, Member, Packed, plain_name, read_exactly

MEMBER, _ENTRY, _END, _END64, _PLACE64 = b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\6\6", b"PK\6\7"
STORED, DEFLATED = 0, 8

_MEMBER_HEAD = struct.Struct("<4s2xHH4xIIIHH")
_ENTRY_HEAD = struct.Struct("<4sxB2xHH4xIIIHHHHxxII")
_END_HEAD = struct.Struct("<4sHHHHIIH")
_END64_HEAD = struct.Struct("<4sQ4xIIQQQQ")
_PLACE64_HEAD = struct.Struct("<4sIQI")

_ENCRYPTED, _SIZES_LATER = 1 << 0, 1 << 3
_UNIX = 3
_MANY = 0xFFFFFFFF
"""the number itself stands in the entry's extra field"""
_EXTRA64 = 1
_LONGEST_COMMENT = (1 << 16) - 1
_AT_ONCE = 1 << 9


def layout(fd: int, size: int) -> ZipDirectory | ZipMembers:
    """The directory at the end, or what can be found without it."""
    try:
        return ZipDirectory.of(fd, size)
    except ArchiveCut:
        return ZipMembers(size)


class ZipDirectory:
    """The members as the directory at the end of the file lists them."""

    def __init__(self, first: int, end: int, shift: int) -> None:
        self.first, self._end, self._shift = first, end, shift

    @classmethod
    def of(cls, fd: int, size: int) -> ZipDirectory:
        place, disk, length, offset = _end(fd, size)
        if disk:
            raise ArchiveBroken("is a part of an archive in several files")
        first = place - length
        if first < 0 or offset > first:
            raise ArchiveBroken("has a directory that lies outside of the file")
        return cls(first, place, first - offset)  # shifted when something stands before the archive: an installer

    def entry(self, fd: int, place: int) -> tuple[Member | None, int]:
        if place >= self._end:
            return None, place
        head = read_exactly(fd, min(_AT_ONCE, self._end - place), place)
        if len(head) < _ENTRY_HEAD.size or not head.startswith(_ENTRY):
            raise ArchiveBroken(f"has a directory that is broken at byte {place:,}")
        _, system, flags, method, crc, packed, size, *lengths, mode, start = _ENTRY_HEAD.unpack_from(head)
        name_length, extra_length, comment_length, _ = lengths
        following = place + _ENTRY_HEAD.size + name_length + extra_length + comment_length
        if following > self._end:
            raise ArchiveBroken(f"has a directory that is broken at byte {place:,}")
        name, extra = _name_and_extra(fd, place + _ENTRY_HEAD.size, head[_ENTRY_HEAD.size :], name_length, extra_length)
        size, packed, start = _widened((size, packed, start), extra)
        fault = _fault(flags, (mode >> 16) if system == _UNIX else 0)
        start += self._shift
        if start >= self.first:
            fault = "it lies outside of its archive"
        return _member(name, size, start, Packed(method, packed, crc), fault), following


class ZipMembers:
    """The members one after another, by the headers before each: of an archive whose end is missing."""

    first = 0

    def __init__(self, size: int) -> None:
        self._size = size

    def entry(self, fd: int, place: int) -> tuple[Member | None, int]:
        head = read_exactly(fd, _AT_ONCE, place)
        if len(head) < _MEMBER_HEAD.size or not head.startswith(MEMBER):
            raise self._cut()
        _, flags, method, crc, packed, size, name_length, extra_length = _MEMBER_HEAD.unpack_from(head)
        name, extra = _name_and_extra(
            fd, place + _MEMBER_HEAD.size, head[_MEMBER_HEAD.size :], name_length, extra_length
        )
        size, packed = _widened((size, packed), extra)
        following = place + _MEMBER_HEAD.size + name_length + extra_length + packed
        if flags & _SIZES_LATER or following > self._size:
            raise self._cut()
        return _member(name, size, place, Packed(method, packed, crc), _fault(flags, 0)), following

    def _cut(self) -> ArchiveCut:
        return ArchiveCut(f"is cut off after byte {self._size:,}: the directory at its end is missing")


def start_of(fd: int, member: Member) -> int:
    """Where the bytes of a member begin, behind its own header."""
    head = read_exactly(fd, _MEMBER_HEAD.size, member.start)
    if len(head) < _MEMBER_HEAD.size or not head.startswith(MEMBER):
        raise ArchiveBroken(f"has something else at byte {member.start:,}, where the member should begin")
    *_, name_length, extra_length = _MEMBER_HEAD.unpack(head)
    return member.start + _MEMBER_HEAD.size + int(name_length) + int(extra_length)


def _end(fd: int, size: int) -> tuple[int, int, int, int]:
    """Where the directory ends, on which disk it is, its length, and where it says that it begins."""
    tail_length = min(size, _END_HEAD.size + _LONGEST_COMMENT)
    tail = read_exactly(fd, tail_length, size - tail_length)
    at = tail[: max(0, len(tail) - _END_HEAD.size + len(_END))].rfind(_END)
    if at < 0:
        raise ArchiveCut("is cut off: the directory at its end is missing")
    _, disk, _, _, _, length, offset, _ = _END_HEAD.unpack_from(tail, at)
    place = size - tail_length + at
    return _end64(fd, place) or (place, disk if disk != 0xFFFF else 0, length, offset)


def _end64(fd: int, place: int) -> tuple[int, int, int, int] | None:
    """The same of an archive beyond 4 GiB or 65,535 members."""
    pointer = read_exactly(fd, _PLACE64_HEAD.size, place - _PLACE64_HEAD.size) if place >= _PLACE64_HEAD.size else b""
    if not pointer.startswith(_PLACE64):
        return None
    place64 = place - _PLACE64_HEAD.size - _END64_HEAD.size
    end = read_exactly(fd, _END64_HEAD.size, place64) if place64 >= 0 else b""
    if not end.startswith(_END64):
        raise ArchiveBroken("has a directory that lies outside of the file")
    _, _, disk, _, _, _, length, offset = _END64_HEAD.unpack(end)
    return place64, disk, length, offset


def _name_and_extra(fd: int, place: int, known: bytes, name: int, extra: int) -> tuple[bytes, bytes]:
    both = known if len(known) >= name + extra else read_exactly(fd, name + extra, place)
    if len(both) < name + extra:
        raise ArchiveCut(f"is cut off within a header at byte {place:,}")
    return both[:name], both[name : name + extra]


def _widened(numbers: tuple[int, ...], extra: bytes) -> tuple[int, ...]:
    """Numbers that do not fit into their places stand in the extra field, in the same order."""
    wide = list(_wide_numbers(extra)) if _MANY in numbers else []
    if len(wide) < numbers.count(_MANY):
        raise ArchiveBroken("has a member without a size")
    return tuple(wide.pop(0) if number == _MANY else number for number in numbers)


def _wide_numbers(extra: bytes) -> tuple[int, ...]:
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        body, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind == _EXTRA64:
            return struct.unpack_from(f"<{len(body) // 8}Q", body)
    return ()


def _fault(flags: int, mode: int) -> str | None:
    if flags & _ENCRYPTED:
        return "it is encrypted"
    if stat.S_ISLNK(mode):
        return "it is a link, and links in archives are not followed"
    return None


def _member(name: bytes, size: int, start: int, packed: Packed, fault: str | None) -> Member:
    name = plain_name(name)
    return Member(name=name, size=size, start=start, is_folder=name.endswith(b"/"), fault=fault, packed=packed)
