"""Headers that declare what no memory holds, nothing at all, or a line as long as the format allows."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from PIL import Image

from tests.hostile import formats
from tests.hostile.formats import HEIGHT, LONG, ROWS, STRIP_SIZES, WIDTH, grey, tiff
from tests.hostile.sound import SOUND
from tests.hostile.specimen import ANSWERED, REFUSED, TOO_LARGE, TRUNCATED, UNREADABLE, Data, Specimens, holding
from tests.pictures import encode

SIDES = (
    (0, 0),
    (0, 9),
    (9, 0),
    (1, 65535),
    (65535, 1),
    (65535, 65535),
    (30000, 30000),
    (1 << 20, 1 << 20),
    (1 << 31, 1),
    ((1 << 31) - 1, (1 << 31) - 1),
    ((1 << 32) - 1, (1 << 32) - 1),
    (65537, 65537),
    (1 << 30, 4),
)
LIMIT = 1_000_000
"""pixels that a picture may have while the corpus is looked at"""


def _png(width: int, height: int) -> bytes:
    return formats.png(formats.header(width, height), formats.rows(9, 7), formats.END)


def _jpeg(width: int, height: int) -> bytes:
    return _declare(SOUND["baseline.jpg"](), b"\xff\xc0", 5, struct.pack(">HH", height & 0xFFFF, width & 0xFFFF))


def _progressive(width: int, height: int) -> bytes:
    return _declare(SOUND["progressive.jpg"](), b"\xff\xc2", 5, struct.pack(">HH", height & 0xFFFF, width & 0xFFFF))


def _gif_screen(width: int, height: int) -> bytes:
    data = SOUND["still.gif"]()
    return data[:6] + struct.pack("<HH", width & 0xFFFF, height & 0xFFFF) + data[10:]


def _gif_frame(width: int, height: int) -> bytes:
    return _declare(SOUND["still.gif"](), b"\x2c\0\0\0\0", 5, struct.pack("<HH", width & 0xFFFF, height & 0xFFFF))


def _webp(width: int, height: int) -> bytes:
    start = SOUND["lossy.webp"]().index(b"\x9d\x01\x2a") + 3
    return _patch(SOUND["lossy.webp"](), start, struct.pack("<HH", width & 0x3FFF, height & 0x3FFF))


def _webp_lossless(width: int, height: int) -> bytes:
    start = SOUND["lossless.webp"]().index(b"VP8L") + 9
    return _patch(
        SOUND["lossless.webp"](), start, struct.pack("<I", (width - 1) & 0x3FFF | ((height - 1) & 0x3FFF) << 14)
    )


def _webp_canvas(width: int, height: int) -> bytes:
    start = SOUND["animated.webp"]().index(b"VP8X") + 12
    sides = b"".join(((side - 1) & 0xFFFFFF).to_bytes(3, "little") for side in (width, height))
    return _patch(SOUND["animated.webp"](), start, sides)


def _tiff(width: int, height: int) -> bytes:
    tags = {**grey(9, 7), WIDTH: (LONG, [width & 0xFFFFFFFF]), HEIGHT: (LONG, [height & 0xFFFFFFFF])}
    return tiff({**tags, ROWS: tags[HEIGHT]}, bytes(63))


def _tiff_honest(width: int, height: int) -> bytes:
    """Also the strip says so, as far as its number goes."""
    width, height = width & 0xFFFFFFFF, height & 0xFFFFFFFF
    return tiff(
        {
            **grey(9, 7),
            WIDTH: (LONG, [width]),
            HEIGHT: (LONG, [height]),
            ROWS: (LONG, [height]),
            STRIP_SIZES: (LONG, [width * height & 0xFFFFFFFF]),
        },
        bytes(63),
    )


def _tiff_deflated(width: int, height: int) -> bytes:
    data = zlib.compress(bytes(63))
    width, height = width & 0xFFFFFFFF, height & 0xFFFFFFFF
    tags = {**grey(width, 1), HEIGHT: (LONG, [height]), ROWS: (LONG, [height]), STRIP_SIZES: (LONG, [len(data)])}
    return tiff({**tags, formats.COMPRESSION: (3, [8])}, data)


def _bmp(width: int, height: int) -> bytes:
    return _patch(SOUND["24 bits.bmp"](), 18, struct.pack("<II", width & 0xFFFFFFFF, height & 0xFFFFFFFF))


def _bmp_upside(width: int, height: int) -> bytes:
    return _patch(SOUND["24 bits.bmp"](), 18, struct.pack("<II", width & 0xFFFFFFFF, -height & 0xFFFFFFFF))


def _bmp_runs(width: int, height: int) -> bytes:
    return _patch(SOUND["runs.bmp"](), 18, struct.pack("<II", width & 0xFFFFFFFF, height & 0xFFFFFFFF))


def _ppm(width: int, height: int) -> bytes:
    return f"P6 {width} {height} 255\n".encode() + bytes(189)


def _ppm_ascii(width: int, height: int) -> bytes:
    return f"P2 {width} {height} 255\n".encode() + b"0 " * 63


def _avif(width: int, height: int) -> bytes:
    return _declare(
        SOUND["still.avif"](), b"ispe\0\0\0\0", 8, struct.pack(">II", width & 0xFFFFFFFF, height & 0xFFFFFFFF)
    )


_DECLARE: dict[str, tuple[str, Callable[[int, int], bytes]]] = {
    "png": (".png", _png),
    "jpeg": (".jpg", _jpeg),
    "progressive jpeg": (".jpg", _progressive),
    "gif screen": (".gif", _gif_screen),
    "gif frame": (".gif", _gif_frame),
    "webp": (".webp", _webp),
    "lossless webp": (".webp", _webp_lossless),
    "webp canvas": (".webp", _webp_canvas),
    "tiff": (".tif", _tiff),
    "honest tiff": (".tif", _tiff_honest),
    "deflated tiff": (".tif", _tiff_deflated),
    "bmp": (".bmp", _bmp),
    "upside down bmp": (".bmp", _bmp_upside),
    "run length bmp": (".bmp", _bmp_runs),
    "ppm": (".ppm", _ppm),
    "ascii pgm": (".pgm", _ppm_ascii),
    "avif": (".avif", _avif),
}


def declared() -> Specimens:
    for name, (suffix, make) in _DECLARE.items():
        for width, height in SIDES:
            data = make(width, height)
            yield holding("sizes", f"{name} {width} x {height}{suffix}", _held(data), *_ends(name, width, height))
    for text in (
        "-1 9 255",
        "9 -9 255",
        "1e9 1 255",
        "99999999999999999999 1 255",
        "9 7 0",
        "9 7 65536",
        "9 7 -1",
        "",
        "9",
        "9 7",
    ):
        yield holding("sizes", f"ppm of {text or 'nothing'}.ppm", _held(f"P6 {text}\n".encode() + bytes(189)), *REFUSED)
    yield holding("sizes", "ppm number of a megabyte.ppm", lambda: b"P6 " + b"9" * 1_000_000, *REFUSED)
    yield holding("sizes", "ppm remark of a megabyte.ppm", lambda: b"P6 #" + b"9" * 1_000_000, *REFUSED)
    yield holding("sizes", "ascii token of a megabyte.pgm", lambda: b"P2 9 7 255\n" + b"1" * 1_000_000, *REFUSED)


def _ends(name: str, width: int, height: int) -> tuple[str, ...]:
    """What has no pixels shows nothing; what has too many is too large, unless the format cannot say so much."""
    if name in ("png", "ppm", "ascii pgm", "tiff"):
        if not width or not height:
            return (UNREADABLE,)
        if width * height > LIMIT:
            return TOO_LARGE, UNREADABLE
        # Pillow does not notice when a PNG's data ends with a whole row, however few there are.
        return (TRUNCATED, ANSWERED) if name == "png" else (TRUNCATED,)
    return (ANSWERED, *REFUSED)


def long_lines() -> Specimens:
    """Sound pictures that are one pixel wide or high: each must be seen."""
    for kind, suffix, longest in (
        ("JPEG", ".jpg", 65500),
        ("PNG", ".png", 65535),
        ("GIF", ".gif", 65535),
        ("WEBP", ".webp", 16383),
        ("TIFF", ".tif", 65535),
        ("BMP", ".bmp", 65535),
        ("PPM", ".ppm", 65535),
        ("AVIF", ".avif", 32768),
    ):
        for size in ((1, longest), (longest, 1), (1, 1)):
            yield holding("sizes", f"sound {size[0]} x {size[1]}{suffix}", _sound(kind, size), ANSWERED)


def _sound(kind: str, size: tuple[int, int]) -> Data:
    return lambda: encode(Image.new("RGB", size, "teal"), kind)


def _declare(data: bytes, before: bytes, offset: int, value: bytes) -> bytes:
    return _patch(data, data.index(before) + offset, value)


def _patch(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def _held(data: bytes) -> Data:
    return lambda: data
