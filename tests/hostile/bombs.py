"""Few bytes that want to become many: in pixels, in frames, in time."""

from __future__ import annotations

import itertools
import struct
import zlib

from PIL import Image

from tests.hostile import formats
from tests.hostile.formats import COMPRESSION, LONG, SHORT, STRIP_SIZES, grey, packed, riff, segment, tiff
from tests.hostile.sizes import LIMIT
from tests.hostile.sound import SOUND
from tests.hostile.specimen import (
    ANSWERED,
    ANY,
    TIMEOUT,
    TOO_LARGE,
    TRUNCATED,
    UNREADABLE,
    Data,
    Specimens,
    holding,
    once,
)
from tests.pictures import bomb, encode

SIDE = 1000
ROWS = 900_000
assert SIDE * SIDE <= LIMIT


def bombs() -> Specimens:
    """More pixels than allowed are refused; as many as allowed are a picture like any other."""
    for side in (SIDE + 1, 5_000):
        yield holding("bombs", f"png of {side}.png", _png(side), TOO_LARGE)
        yield holding("bombs", f"deflated tiff of {side}.tif", _tiff(side), TOO_LARGE)
        yield holding("bombs", f"gif of {side}.gif", _gif(side), TOO_LARGE)
    yield holding("bombs", "png as large as allowed.png", _png(SIDE), ANSWERED)
    yield holding("bombs", "deflated tiff as large as allowed.tif", _tiff(SIDE), ANSWERED)
    yield holding("bombs", "gif as large as allowed.gif", _gif(SIDE), ANSWERED)
    yield holding("bombs", "webp as large as allowed.webp", _filled("WEBP", lossless=True), ANSWERED)
    yield holding("bombs", "jpeg as large as allowed.jpg", _filled("JPEG"), ANSWERED)
    yield holding("bombs", "avif as large as allowed.avif", _filled("AVIF", speed=10), ANSWERED)
    yield holding("bombs", "png with too many rows.png", _png_of_rows, ANSWERED)
    yield holding("bombs", "deflated strip with too many rows.tif", _tiff_of_rows, *ANY)
    yield holding("bombs", "strips that share their bytes.tif", _shared_strips, ANSWERED, UNREADABLE)
    yield holding("bombs", "bmp of endless runs.bmp", _bmp_runs, *ANY)
    yield holding("bombs", "bmp that leaps.bmp", _bmp_leaps, *ANY)
    yield holding("bombs", "jpeg of 400000 scans.jpg", _scans, TIMEOUT)
    yield holding("bombs", "strips of many scans.tif", _scans_of_strips, TIMEOUT)


def animations() -> Specimens:
    """Of thousands of frames only the first one costs anything."""
    for count in (100, 10_000):
        yield holding("bombs", f"gif of {count} frames.gif", _gif_frames(count), ANSWERED)
        yield holding("bombs", f"webp of {count} frames.webp", _webp_frames(count), *ANY)
        yield holding("bombs", f"png of {count} frames.png", _png_frames(count), ANSWERED)
    yield holding("bombs", "gif whose later frames are huge.gif", _gif_grows, ANSWERED, TOO_LARGE)
    yield holding("bombs", "gif of blocks without an end.gif", _gif_blocks, *ANY)
    yield holding("bombs", "gif of remarks.gif", _gif_remarks, ANSWERED)
    yield holding("bombs", "gif that clears without an end.gif", _gif_clears, ANSWERED, TRUNCATED, UNREADABLE)


def _png(side: int) -> Data:
    return once(lambda: bomb(side))


def _tiff(side: int) -> Data:
    data = packed(side * side // (1 << 20) + 1)
    return lambda: tiff({**grey(side, side), COMPRESSION: (SHORT, [8]), STRIP_SIZES: (LONG, [len(data)])}, data)


def _gif(side: int) -> Data:
    return lambda: _gif_of(side, side, _gif_image(side, side, _lzw_zeros(min(side * side, 10_000_000))))


def _gif_of(width: int, height: int, *blocks: bytes) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + b"".join(blocks) + b";"


def _gif_image(width: int, height: int, data: bytes) -> bytes:
    return b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02" + _gif_data(data)


def _gif_data(data: bytes) -> bytes:
    return b"".join(bytes((len(part),)) + part for part in _in_parts(data, 255)) + b"\0"


def _in_parts(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def _lzw_zeros(count: int) -> bytes:
    """GIF's compression at its best: each code stands for one zero more than the one before."""
    codes: list[tuple[int, int]] = [(4, 3)]
    code, width, run = 0, 3, 1
    while count > 0:
        codes.append((code, width))
        count -= run
        code, run = (6 if code == 0 else code + 1), run + 1
        if code == 1 << width and width < 12:
            width += 1
        if code == 4096:
            codes.append((4, 12))
            code, width, run = 0, 3, 1
    codes.append((5, width))
    return _bits(codes)


def _bits(codes: list[tuple[int, int]]) -> bytes:
    out, held, have = bytearray(), 0, 0
    for code, width in codes:
        held |= code << have
        have += width
        while have >= 8:
            out.append(held & 0xFF)
            held >>= 8
            have -= 8
    return bytes(out) + bytes((held,))


def _filled(kind: str, **options: object) -> Data:
    return lambda: encode(Image.linear_gradient("L").resize((SIDE, SIDE)).convert("RGB"), kind, **options)


def _png_of_rows() -> bytes:
    """A small picture whose data goes on for 80 megabytes."""
    return formats.png(formats.header(9, 7), (b"IDAT", packed(80)), formats.END)


def _tiff_of_rows() -> bytes:
    return tiff({**grey(9, 7), COMPRESSION: (SHORT, [8]), STRIP_SIZES: (LONG, [len(packed(80))])}, packed(80))


def _shared_strips() -> bytes:
    row = zlib.compress(bytes(SIDE))
    tags = {
        **grey(SIDE, SIDE),
        COMPRESSION: (SHORT, [8]),
        formats.ROWS: (LONG, [1]),
        formats.STRIPS: (LONG, [8] * SIDE),
        STRIP_SIZES: (LONG, [len(row)] * SIDE),
    }
    return tiff(tags, row)


def _scans_of_strips() -> bytes:
    """Rows by the thousand, all the same JPEG of one pixel and many scans: libtiff reads them in one call."""
    strip = _with_scans(Image.new("L", (1, 1)), 90)  # it allows a hundred
    tags = {
        **grey(1, ROWS),
        COMPRESSION: (SHORT, [7]),
        formats.ROWS: (LONG, [1]),
        formats.STRIPS: (LONG, [8] * ROWS),
        STRIP_SIZES: (LONG, [len(strip)] * ROWS),
    }
    return tiff(tags, strip)


def _bmp_runs() -> bytes:
    return formats.bmp(SIDE, SIDE, 8, b"\xff\x01" * 500_000, palette=bytes(1024), compression=1)


def _bmp_leaps() -> bytes:
    return formats.bmp(SIDE, SIDE, 8, b"\0\x02\xff\xff" * 250_000 + b"\0\x01", palette=bytes(1024), compression=1)


def _scans() -> bytes:
    return _with_scans(Image.new("L", (SIDE, SIDE)), 400_000)


def _with_scans(image: Image.Image, count: int) -> bytes:
    """A progressive JPEG that refines the same coefficients again and again: each scan costs all pixels."""
    data = encode(image, "JPEG", progressive=True)
    table = segment(0xC4, b"\x10" + bytes((1,)) + bytes(15) + b"\xe0")  # one code: a run of 16384 blocks and some
    scan = segment(0xDA, b"\x01\x01\x00\x01\x3f\x00") + bytes(12)
    return data[: data.index(b"\xff\xda")] + table + scan * count + b"\xff\xd9"


def _gif_frames(count: int) -> Data:
    image = _gif_image(SIDE, SIDE, _lzw_zeros(SIDE * SIDE))
    return lambda: _gif_of(
        SIDE, SIDE, *itertools.repeat(image, min(count, 500)), *itertools.repeat(_gif_image(1, 1, _lzw_zeros(1)), count)
    )


def _webp_frames(count: int) -> Data:
    def data() -> bytes:
        image = formats.riff_chunks(SOUND["lossless.webp"]())[0]
        body = image[0] + struct.pack("<I", len(image[1])) + image[1] + bytes(len(image[1]) % 2)
        sides = (8).to_bytes(3, "little") + (6).to_bytes(3, "little")
        frame = (b"ANMF", bytes(6) + sides + bytes(4) + body)
        return riff((b"VP8X", b"\x02\0\0\0" + sides), (b"ANIM", bytes(6)), *itertools.repeat(frame, count))

    return data


def _png_frames(count: int) -> Data:
    def data() -> bytes:
        frames = []
        for number in range(1, count):
            control = struct.pack(">IIIIIHHBB", 2 * number - 1, 9, 7, 0, 0, 1, 1, 0, 0)
            frames += [(b"fcTL", control), (b"fdAT", struct.pack(">I", 2 * number) + formats.rows(9, 7)[1])]
        first = (b"fcTL", struct.pack(">IIIIIHHBB", 0, 9, 7, 0, 0, 1, 1, 0, 0))
        animation = (b"acTL", struct.pack(">II", count, 0))
        return formats.png(formats.header(9, 7), animation, first, formats.rows(9, 7), *frames, formats.END)

    return data


def _gif_grows() -> bytes:
    return _gif_of(9, 7, _gif_image(9, 7, _lzw_zeros(63)), _gif_image(65535, 65535, _lzw_zeros(1_000_000)))


def _gif_blocks() -> bytes:
    return _gif_of(9, 7, b"!\xff\x0bNETSCAPE2.0" + b"\xff" * 256 * 4000)


def _gif_remarks() -> bytes:
    return _gif_of(9, 7, *itertools.repeat(b"!\xfe\x05hello\0", 20_000), _gif_image(9, 7, _lzw_zeros(63)))


def _gif_clears() -> bytes:
    return _gif_of(SIDE, SIDE, _gif_image(SIDE, SIDE, _bits([(4, 3)] * 8)[:3] * 400_000))
