"""Files written byte by byte: what Pillow does not write, or would not write so wrongly."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

PNG_START = b"\x89PNG\r\n\x1a\n"
Chunk = tuple[bytes, bytes]

SHORT, LONG = 3, 4
_CODES = {2: "B", SHORT: "H", LONG: "I", 7: "B"}
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIPS, SAMPLES, ROWS, STRIP_SIZES, PLANAR = 273, 277, 278, 279, 284
TILE_WIDTH, TILE_HEIGHT, TILES, TILE_SIZES, SUB_IFDS, EXIF_IFD, GPS_IFD = 322, 323, 324, 325, 330, 34665, 34853

Tags = Mapping[int, tuple[int, Sequence[int]]]


def chunk(name: bytes, body: bytes, *, crc: int | None = None, length: int | None = None) -> bytes:
    """One chunk of a PNG; its checksum and its length may lie."""
    sum_ = zlib.crc32(name + body) if crc is None else crc
    return struct.pack(">I", len(body) if length is None else length) + name + body + struct.pack(">I", sum_)


def header(width: int, height: int, depth: int = 8, color: int = 0, *rest: int) -> Chunk:
    compression, filter_, interlace = rest or (0, 0, 0)
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, compression, filter_, interlace)


def png(*chunks: Chunk) -> bytes:
    return PNG_START + b"".join(chunk(*each) for each in chunks)


def rows(width: int, height: int, *, depth: int = 8, channels: int = 1) -> Chunk:
    """The data of a PNG, all zeros."""
    return b"IDAT", zlib.compress(bytes((1 + (width * depth * channels + 7) // 8) * height))


END: Chunk = (b"IEND", b"")


@cache
def packed(megabytes: int) -> bytes:
    """So many zeros, deflated."""
    packer = zlib.compressobj(1)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(megabytes)) + packer.flush()


def interlaced(width: int, height: int, values: Sequence[int]) -> bytes:
    """A grey PNG that comes in Adam's seven passes."""
    data = b""
    for left, top, right, down in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        for y in range(top, height, down):
            line = bytes(values[y * width + x] for x in range(left, width, right))
            data += b"\0" + line if line else b""
    return png(header(width, height, 8, 0, 0, 0, 1), (b"IDAT", zlib.compress(data)), END)


def tiff(tags: Tags, body: bytes = b"", *, order: str = "<", big: bool = False, then: int = 0) -> bytes:
    """A TIFF with one directory behind `body`, which begins at 8 (16 in a big one); the next one lies at `then`."""
    start = (16 if big else 8) + len(body)
    return tiff_start(start, order=order, big=big) + body + directory(tags, start, order=order, big=big, then=then)


def tiff_start(first: int, *, order: str = "<", big: bool = False) -> bytes:
    mark = b"II" if order == "<" else b"MM"
    return mark + (struct.pack(f"{order}HHHQ", 43, 8, 0, first) if big else struct.pack(f"{order}HI", 42, first))


def directory(tags: Tags, place: int, *, order: str = "<", big: bool = False, then: int = 0) -> bytes:
    """A directory that lies at `place`, with the values that do not fit into it behind it."""
    inline, count, word = (8, "Q", "Q") if big else (4, "H", "I")
    entries, values = b"", b""
    after = place + struct.calcsize(f"={count}") + len(tags) * (12 + 2 * (inline - 4)) + inline
    for tag, (kind, numbers) in sorted(tags.items()):
        data = struct.pack(f"{order}{len(numbers)}{_CODES[kind]}", *numbers)
        entries += struct.pack(f"{order}HH{word}", tag, kind, len(numbers))
        if len(data) <= inline:
            entries += data.ljust(inline, b"\0")
        else:
            entries += struct.pack(order + word, after + len(values))
            values += data
    return struct.pack(order + count, len(tags)) + entries + struct.pack(order + word, then) + values


def grey(width: int, height: int, place: int = 8) -> dict[int, tuple[int, Sequence[int]]]:
    """The tags of a plain grey picture whose pixels lie at `place`."""
    return {
        WIDTH: (LONG, [width]),
        HEIGHT: (LONG, [height]),
        BITS: (SHORT, [8]),
        COMPRESSION: (SHORT, [1]),
        PHOTOMETRIC: (SHORT, [1]),
        STRIPS: (LONG, [place]),
        SAMPLES: (SHORT, [1]),
        ROWS: (LONG, [height]),
        STRIP_SIZES: (LONG, [width * height]),
    }


def riff(*chunks: Chunk, size: int | None = None) -> bytes:
    """A WebP's container."""
    body = b"WEBP" + b"".join(
        name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def riff_chunks(data: bytes) -> list[Chunk]:
    found, place = [], 12
    while place < len(data):
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        found.append((data[place : place + 4], data[place + 8 : place + 8 + size]))
        place += 8 + size + size % 2
    return found


def segment(marker: int, body: bytes, *, length: int | None = None) -> bytes:
    """One segment of a JPEG; its length may lie."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2 if length is None else length) + body


def with_segments(jpeg: bytes, segments: Iterable[bytes]) -> bytes:
    """A JPEG with these segments right behind its start."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def bmp(
    width: int, height: int, bits: int, data: bytes, *, palette: bytes = b"", compression: int = 0, head: int = 40
) -> bytes:
    start = 14 + head + len(palette)
    info = struct.pack("<IiiHHIIiiII", head, width, height, 1, bits, compression, len(data), 0, 0, len(palette) // 4, 0)
    if head == 12:
        info = struct.pack("<IHHHH", 12, width & 0xFFFF, height & 0xFFFF, 1, bits)
    return (
        struct.pack("<2sIHHI", b"BM", (start + len(data)) & 0xFFFFFFFF, 0, 0, start)
        + info.ljust(head, b"\0")
        + palette
        + data
    )
