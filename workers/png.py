"""A PNG's rows: whether its data holds all of them.

Pillow leaves empty what a stream that was closed properly does not hold, and says nothing (Pillow 13.0).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from PIL import Image

_START, _HEAD, _SUM = 8, 8, 4
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""kind of colors -> numbers a pixel"""
_AT_ONCE = ((0, 0, 1, 1),)
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""passes: where their pixels begin, across and down, and how far they are apart"""
_PIECE = 1 << 18


def lacks_rows(data: bytes, image: Image.Image) -> bool:
    """Whether the data ends before the last row of the picture that Pillow has made of it.

    It is unpacked once more only if that may be so: if the last row is empty, or rows come in passes.
    """
    header = next((body for name, body in _chunks(data) if name == b"IHDR"), b"")
    interlaced = header[12:13] != b"\0"
    if not interlaced and any(image.crop((0, image.height - 1, *image.size)).tobytes()):
        return False
    return not _holds(data, _promised(*image.size, depth=header[8], colors=header[9], interlaced=interlaced))


def _promised(width: int, height: int, *, depth: int, colors: int, interlaced: bool) -> int:
    """How many bytes the rows have, each with the one that says how it is filtered."""
    total = 0
    for left, top, across, down in _ADAM7 if interlaced else _AT_ONCE:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * depth * _CHANNELS[colors] // 8))
    return total


def _holds(data: bytes, promised: int) -> bool:
    """Whether so many bytes come out, which are counted piece by piece."""
    inflate = zlib.decompressobj()
    bodies = (body for name, body in _chunks(data) if name == b"IDAT" and body)
    waiting = b""
    try:
        while promised > 0 and (waiting := waiting or next(bodies, b"")):
            promised -= len(inflate.decompress(waiting, min(promised, _PIECE)))
            waiting = inflate.unconsumed_tail
    except zlib.error:
        return True  # Pillow has seen that too, and taken what came before for enough
    return promised <= 0


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and bodies."""
    place = _START
    while len(head := data[place : place + _HEAD]) == _HEAD:
        end = place + _HEAD + int.from_bytes(head[:4], "big")
        yield head[4:], data[place + _HEAD : end]
        place = end + _SUM
