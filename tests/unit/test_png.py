from __future__ import annotations

import io
import zlib

import pytest
from PIL import Image

from tests.hostile import formats
from tests.pictures import png
from workers.png import lacks_rows

WIDTH, HEIGHT = 9, 7
SORTS = {(1, 0): 1, (8, 0): 1, (16, 0): 1, (8, 2): 3, (16, 2): 3, (2, 3): 1, (8, 3): 1, (8, 4): 2, (8, 6): 4}
"""depth and kind of colors -> numbers a pixel"""
PALETTE = (b"PLTE", bytes(range(12)))


def ends_early(data: bytes) -> bool:
    with Image.open(io.BytesIO(data)) as image:
        try:
            image.load()
        except OSError as error:  # of the smallest Pillow knows it
            return "truncated" in str(error)
        return lacks_rows(data, image)


@pytest.mark.parametrize(("depth", "colors"), SORTS)
def test_a_stream_that_is_closed_before_its_last_row(depth: int, colors: int) -> None:
    line = (WIDTH * depth * SORTS[depth, colors] + 7) // 8
    for value in (b"\0", b"\xff"):
        rows = (b"\0" + value * line) * HEIGHT
        for missing in (0, 1, line, line + 1, 2 * (line + 1)):
            data = png(WIDTH, HEIGHT, depth, colors, rows[: len(rows) - missing], PALETTE)
            # Of a last row that is there in part nothing is taken.
            assert ends_early(data) == (missing > 0), (value, missing)


def test_one_that_comes_in_passes() -> None:
    for width, height in ((9, 7), (1, 1), (2, 1), (1, 9), (8, 8), (5, 2)):
        whole = formats.interlaced(width, height, bytes(width * height))
        assert not ends_early(whole)
        start, end = whole.index(b"IDAT") + 4, whole.index(b"IEND") - 8
        rows = zlib.decompress(whole[start:end])
        head = formats.header(width, height, 8, 0, 0, 0, 1)
        cut = formats.png(head, (b"IDAT", zlib.compress(rows[:-1])), formats.END)
        assert ends_early(cut), (width, height)


def test_a_stream_in_many_chunks_and_one_that_goes_on() -> None:
    stream = zlib.compress(bytes((WIDTH + 1) * HEIGHT))
    head = formats.header(WIDTH, HEIGHT)
    bytewise = ((b"IDAT", stream[place : place + 1]) for place in range(len(stream)))
    assert not ends_early(formats.png(head, (b"IDAT", b""), *bytewise, formats.END))
    assert not ends_early(formats.png(head, (b"IDAT", zlib.compress(bytes(3000))), formats.END))
    assert not ends_early(formats.png(head, (b"IDAT", stream[:-4] + bytes(4)), formats.END))
