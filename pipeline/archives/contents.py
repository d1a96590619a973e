"""The bytes of a member, counted as they come: what its header promises is not believed."""

from __future__ import annotations

import zlib

from pipeline.archives import zips
from pipeline.archives.members import ArchiveBroken, ArchiveCut, Member, Packed, read_exactly
from pipeline.errors import ImageTooLarge, ImageTruncated, ImageUnreadable, ImageUnsupported, JobError

_CHUNK = 1 << 16


def read_member(fd: int, member: Member, *, max_bytes: int) -> bytes:
    """All of a member, and never more than allowed. Raises a `JobError` that says what is wrong with it."""
    if member.fault or member.is_folder:
        raise ImageUnreadable(why=member.fault or "it is a folder in its archive")
    if member.size > max_bytes:
        raise ImageTooLarge(why=f"{member.size:,} bytes, the limit is {max_bytes:,}")
    try:
        return _plain(fd, member) if member.packed is None else _unpacked(fd, member, member.packed, max_bytes)
    except ArchiveBroken as error:
        raise broken(error) from error


def broken(error: ArchiveBroken) -> JobError:
    """The same as the reason why a picture in the archive cannot be read."""
    kind = ImageTruncated if isinstance(error, ArchiveCut) else ImageUnreadable
    return kind(why=f"its archive {error}")


def _plain(fd: int, member: Member) -> bytes:
    data = read_exactly(fd, member.size, member.start)
    if len(data) < member.size:
        raise ArchiveCut("is cut off within this member")
    return data


def _unpacked(fd: int, member: Member, packed: Packed, max_bytes: int) -> bytes:
    if packed.method == zips.DEFLATED:
        data = _inflated(fd, zips.start_of(fd, member), packed.size, max_bytes)
    elif packed.method == zips.STORED and packed.size == member.size:
        data = read_exactly(fd, packed.size, zips.start_of(fd, member))
    else:
        raise ImageUnsupported(why=f"it is compressed in a way that is not read (method {packed.method})")
    if len(data) != member.size or zlib.crc32(data) != packed.crc:
        raise ImageUnreadable(why="its bytes in the archive are damaged")
    return data


def _inflated(fd: int, place: int, left: int, max_bytes: int) -> bytes:
    """What comes out, piece by piece: 10 MB of zeros that were packed into 10 kB cost 64 kB at a time."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    pieces: list[bytes] = []
    got = 0
    waiting = b""
    while not inflate.eof:
        if not waiting:
            waiting = read_exactly(fd, min(_CHUNK, left), place)
            place, left = place + len(waiting), left - len(waiting)
            if not waiting:
                raise ImageTruncated(why="it ends too early in its archive")
        piece = _inflate(inflate, waiting)
        waiting = inflate.unconsumed_tail
        got += len(piece)
        if got > max_bytes:
            raise ImageTooLarge(why=f"more than {max_bytes:,} bytes once it is unpacked")
        pieces.append(piece)
    return b"".join(pieces)


def _inflate(inflate: zlib._Decompress, data: bytes) -> bytes:
    try:
        return inflate.decompress(data, _CHUNK)
    except zlib.error as error:
        raise ImageUnreadable(why="its bytes in the archive are damaged") from error
