"""PNGs whose chunks are wrong: checksums, orders, lengths, palettes, and animations that lie."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

from tests.hostile.formats import END, PNG_START, Chunk, chunk, header, png, rows
from tests.hostile.specimen import ANSWERED, ANY, REFUSED, TRUNCATED, UNREADABLE, Specimen, Specimens, holding

_HEADER = header(9, 7)
_ROWS = rows(9, 7)
_PALETTE: Chunk = (b"PLTE", bytes(range(48)))


def broken() -> Specimens:
    for name, (chunks, ends) in _ORDERS.items():
        yield _held(name, png(*chunks), ends)
    good = [_HEADER, _ROWS, END]
    for place, (sort, body) in enumerate(good):
        for what, made in {
            "a wrong checksum": chunk(sort, body, crc=0),
            "no length": chunk(sort, body, length=0),
            "a length of 2 GB": chunk(sort, body, length=0x7FFFFFFF),
            "a length of 4 GB": chunk(sort, body, length=0xFFFFFFFF),
            "a byte more": chunk(sort, body, length=len(body) + 1),
            "a name of zeros": chunk(bytes(4), body),
            "a small name": chunk(sort.lower(), body),
        }.items():
            parts = [chunk(*each) for each in good]
            parts[place] = made
            yield _held(f"{sort.decode()} with {what}", PNG_START + b"".join(parts), ANY)
    for number, rest in enumerate(((1, 0, 0), (0, 1, 0), (0, 0, 2), (255, 255, 255))):
        yield _held(f"unknown method {number}", png(header(9, 7, 8, 0, *rest), _ROWS, END), ANY)
    for depth in range(0, 18):
        for color in range(8):
            yield _held(f"depth {depth} of color {color}", png(header(9, 7, depth, color), _PALETTE, _ROWS, END), ANY)
    for what, data in {
        "no zlib": bytes(70),
        "zlib of nothing": zlib.compress(b""),
        "too few rows": zlib.compress(bytes(30)),
        "too many rows": zlib.compress(bytes(30_000)),
        "unknown filters": zlib.compress(b"\x09" * 70),
        "a wrong sum": zlib.compress(bytes(70))[:-4] + bytes(4),
        "half a stream": zlib.compress(bytes(range(70)))[:20],
    }.items():
        ends = {"too many rows": (ANSWERED,), "too few rows": (TRUNCATED,)}.get(what, (ANSWERED, TRUNCATED, UNREADABLE))
        yield _held(f"IDAT of {what}", png(_HEADER, (b"IDAT", data), END), ends)
    scattered = [(b"IDAT", bytes((byte,))) for byte in _ROWS[1]]
    yield _held("IDAT byte by byte", png(_HEADER, *scattered, END), (ANSWERED,))
    yield _held("IDAT empty by the thousand", png(_HEADER, *[(b"IDAT", b"")] * 5000, _ROWS, END), (ANSWERED,))
    yield _held("unknown chunks by the thousand", png(_HEADER, *[(b"juNk", b"abc")] * 20_000, _ROWS, END), (ANSWERED,))


_ORDERS: dict[str, tuple[Sequence[Chunk], tuple[str, ...]]] = {
    "no header": ((_ROWS, END), REFUSED),
    "header last": ((_ROWS, END, _HEADER), REFUSED),
    "header twice": ((_HEADER, header(30000, 30000), _ROWS, END), ANY),
    "no data": ((_HEADER, END), REFUSED),
    "nothing but a header": ((_HEADER,), (TRUNCATED,)),
    "no end": ((_HEADER, _ROWS), (ANSWERED, TRUNCATED)),
    "end first": ((_HEADER, END, _ROWS), REFUSED),
    "data behind the end": ((_HEADER, _ROWS, END, _ROWS), (ANSWERED,)),
    "data interrupted": ((_HEADER, (b"IDAT", _ROWS[1][:5]), (b"tEXt", b"a\0b"), (b"IDAT", _ROWS[1][5:]), END), ANY),
    "no palette": ((header(9, 7, 8, 3), _ROWS, END), ANY),
    "empty palette": ((header(9, 7, 8, 3), (b"PLTE", b""), _ROWS, END), ANY),
    "palette of 7 bytes": ((header(9, 7, 8, 3), (b"PLTE", bytes(7)), _ROWS, END), ANY),
    "palette of 300": ((header(9, 7, 8, 3), (b"PLTE", bytes(900)), _ROWS, END), ANY),
    "palette behind the data": ((header(9, 7, 8, 3), _ROWS, _PALETTE, END), ANY),
    "transparency of nothing": ((_HEADER, (b"tRNS", b""), _ROWS, END), ANY),
    "transparency of 300": ((header(9, 7, 8, 3), _PALETTE, (b"tRNS", bytes(300)), _ROWS, END), ANY),
    "gamma of nothing": ((_HEADER, (b"gAMA", b""), _ROWS, END), ANY),
    "gamma of zero": ((_HEADER, (b"gAMA", bytes(4)), _ROWS, END), (ANSWERED,)),
    "size of a pixel of nothing": ((_HEADER, (b"pHYs", b""), _ROWS, END), ANY),
    "colors of nothing": ((_HEADER, (b"cHRM", b""), _ROWS, END), ANY),
    "srgb of nothing": ((_HEADER, (b"sRGB", b""), _ROWS, END), ANY),
    "animation of none": ((_HEADER, (b"acTL", struct.pack(">II", 0, 0)), _ROWS, END), ANY),
    "animation of 4 billion": ((_HEADER, (b"acTL", b"\xff" * 8), _ROWS, END), ANY),
    "animation of nothing": ((_HEADER, (b"acTL", b""), _ROWS, END), ANY),
    "a frame outside": (
        (
            _HEADER,
            (b"acTL", struct.pack(">II", 2, 0)),
            (b"fcTL", struct.pack(">IIIIIHHBB", 0, 90, 70, 5, 5, 1, 1, 0, 0)),
            _ROWS,
            END,
        ),
        ANY,
    ),
    "frames out of order": (
        (
            _HEADER,
            (b"acTL", struct.pack(">II", 2, 0)),
            (b"fcTL", struct.pack(">IIIIIHHBB", 7, 9, 7, 0, 0, 1, 1, 0, 0)),
            _ROWS,
            (b"fdAT", struct.pack(">I", 1) + _ROWS[1]),
            END,
        ),
        ANY,
    ),
}


def _held(name: str, data: bytes, ends: tuple[str, ...]) -> Specimen:
    return holding("png", f"{name}.png", lambda: data, *ends)
