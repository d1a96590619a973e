"""Pictures for tests: good ones of every kind, and files that only look like pictures.

Everything is drawn from a seed, so two runs see the same bytes.
"""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw

Draw = Callable[[random.Random, int], bytes]
Make = Callable[[bytes], None]

ORIENTATION = 0x0112
ODD_NAMES = (b"two\nlines", b"\xff\xfe not utf-8", b"ends with space ", b"%41 #?", "b\u00e4r \U0001f43b".encode())


def good(folder: str | os.PathLike[str], count: int = 200, seed: int = 0) -> list[bytes]:
    """Write pictures that any viewer shows, of every kind in turn; no two look alike."""
    paths = []
    for number in range(count):
        suffix, draw = GOOD[number % len(GOOD)]
        stem = b"%04d" % number
        if number % 17 == 3:
            stem += b" " + ODD_NAMES[number // 17 % len(ODD_NAMES)]
        path = os.path.join(os.fsencode(folder), stem + suffix.encode())
        _write(path, draw(random.Random(f"{seed}/{number}"), number))
        paths.append(path)
    return paths


def hostile(folder: str | os.PathLike[str], *, unreadable: bool = False) -> dict[bytes, str]:
    """Write files that no job can be done with: path -> the code its jobs must fail with.

    `unreadable` adds one without read permission, which stops nobody who is root.
    """
    expected = {}
    for name, (make, code) in HOSTILE.items():
        path = os.path.join(os.fsencode(folder), name)
        make(path)
        expected[path] = code
    if unreadable:
        path = os.path.join(os.fsencode(folder), b"unreadable.jpg")
        _write(path, plain("JPEG"))
        os.chmod(path, 0)
        expected[path] = "image_unreadable"
    return expected


def scene(rng: random.Random, number: int, size: tuple[int, int] | None = None) -> Image.Image:
    """A few coloured shapes and the picture's number."""
    size = size or (rng.randrange(48, 200), rng.randrange(48, 200))
    image = Image.new("RGB", size, _colour(rng))
    draw = ImageDraw.Draw(image)
    for _ in range(4):
        left, top = rng.randrange(size[0]), rng.randrange(size[1])
        box = (left, top, left + rng.randrange(8, 80), top + rng.randrange(8, 80))
        rng.choice((draw.ellipse, draw.rectangle))(box, fill=_colour(rng))
    draw.text((4, 4), str(number), fill="white", stroke_fill="black", stroke_width=1)
    return image


def plain(kind: str, **options: object) -> bytes:
    """One fixed picture in some format."""
    return encode(scene(random.Random(kind), 7, (120, 90)), kind, **options)


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(width: int, height: int, depth: int, colour_type: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of any sort, also those that Pillow does not write; `rows` come with their filter bytes."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    parts = ((b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in parts
    )


def bomb(side: int) -> bytes:
    """A few hundred kilobytes that want to become `side` x `side` pixels."""
    return png(side, side, 1, 0, bytes((side + 7) // 8 + 1) * side)


def _write(path: bytes, data: bytes) -> None:
    Path(os.fsdecode(path)).write_bytes(data)


def _colour(rng: random.Random) -> tuple[int, int, int]:
    return rng.randrange(256), rng.randrange(256), rng.randrange(256)


# --- good ones -----------------------------------------------------------------------------------


def _in(kind: str, mode: str = "RGB", **options: object) -> Draw:
    return lambda rng, number: encode(scene(rng, number).convert(mode), kind, **options)


def _turned(rng: random.Random, number: int) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = 1 + number // len(GOOD) % 8
    return encode(scene(rng, number), "JPEG", exif=exif)


def _see_through(kind: str, mode: str = "RGBA") -> Draw:
    def draw(rng: random.Random, number: int) -> bytes:
        image = scene(rng, number)
        image.putalpha(Image.linear_gradient("L").resize(image.size))
        return encode(image.convert(mode), kind)

    return draw


def _palette_with_hole(rng: random.Random, number: int) -> bytes:
    image = scene(rng, number).quantize(16)
    return encode(image, "PNG", transparency=image.getpixel((0, 0)))


def _deep_grey(kind: str) -> Draw:
    def draw(rng: random.Random, number: int) -> bytes:
        grey = scene(rng, number).convert("L")
        deep = struct.pack(f"<{grey.width * grey.height}H", *(value * 257 for value in grey.tobytes()))
        return encode(Image.frombytes("I;16", grey.size, deep), kind)

    return draw


def _deep_colour(rng: random.Random, number: int) -> bytes:
    image = scene(rng, number)
    line = image.width * 3
    values = struct.pack(f">{line * image.height}H", *(value * 257 for value in image.tobytes()))
    rows = (values[start : start + line * 2] for start in range(0, len(values), line * 2))
    return png(*image.size, 16, 2, b"".join(b"\0" + row for row in rows))


def _float_grey(rng: random.Random, number: int) -> bytes:
    return encode(scene(rng, number).convert("F").point(lambda value: value * (1 / 255)), "TIFF")


def _several(kind: str) -> Draw:
    def draw(rng: random.Random, number: int) -> bytes:
        frames = [scene(rng, number + extra, (96, 72)) for extra in range(3)]
        return encode(frames[0], kind, save_all=True, append_images=frames[1:])

    return draw


def _sized(width: int, height: int, kind: str) -> Draw:
    return lambda rng, number: encode(scene(rng, number, (width, height)), kind)


GOOD: tuple[tuple[str, Draw], ...] = (
    (".jpg", _in("JPEG")),
    (".JPG", _turned),
    (".jpeg", _in("JPEG", progressive=True)),
    (".jpg", _in("JPEG", "CMYK")),
    (".jpg", _in("JPEG", "L")),
    (".png", _in("PNG")),
    (".png", _see_through("PNG")),
    (".png", _see_through("PNG", "LA")),
    (".png", _deep_grey("PNG")),
    (".png", _deep_colour),
    (".png", _in("PNG", "P")),
    (".png", _palette_with_hole),
    (".png", _in("PNG", "1")),
    (".webp", _in("WEBP")),
    (".webp", _see_through("WEBP")),
    (".webp", _several("WEBP")),
    (".gif", _in("GIF")),
    (".gif", _several("GIF")),
    (".tif", _in("TIFF", compression="tiff_lzw")),
    (".tiff", _deep_grey("TIFF")),
    (".tiff", _float_grey),
    (".tif", _several("TIFF")),
    (".bmp", _in("BMP")),
    (".ppm", _in("PPM")),
    (".png", _sized(1, 1, "PNG")),
    (".jpg", _sized(12000, 1, "JPEG")),
)

# --- hostile ones --------------------------------------------------------------------------------


def _file(data: Callable[[], bytes]) -> Make:
    return lambda path: _write(path, data())


def _text(text: str) -> Make:
    return _file(text.encode)


def _half(kind: str) -> Make:
    return _file(lambda: plain(kind)[: len(plain(kind)) // 2])


def _link(target: bytes) -> Make:
    return lambda path: os.symlink(target, path)


def _terabyte(path: bytes) -> None:
    _write(path, plain("BMP"))
    os.truncate(path, 1 << 40)  # a hole takes no room on the disk


def _broken_png() -> bytes:
    before, found, after = plain("PNG").partition(b"IDAT")
    return before + found + bytes([255] * 64) + after[64:]


def _text_bomb() -> bytes:
    return png(1, 1, 8, 0, bytes(2), (b"zTXt", b"note\0\0" + zlib.compress(bytes(80 << 20))))


HOSTILE: dict[bytes, tuple[Make, str]] = {
    b"empty.jpg": (_text(""), "image_truncated"),
    b"half.jpg": (_half("JPEG"), "image_truncated"),
    b"half.png": (_half("PNG"), "image_truncated"),
    b"half.gif": (_half("GIF"), "image_truncated"),
    b"half.webp": (_half("WEBP"), "image_truncated"),
    b"half.tif": (_half("TIFF"), "image_truncated"),
    b"header.png": (_file(lambda: plain("PNG")[:20]), "image_truncated"),
    b"broken.png": (_file(_broken_png), "image_unreadable"),
    b"text.jpg": (_text("BMW and other words are no pictures.\n"), "image_unsupported"),
    b"vector.png": (_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'), "image_unsupported"),
    b"postscript.jpg": (_file(lambda: plain("EPS")), "image_unsupported"),
    b"bomb.png": (_file(lambda: bomb(20_000)), "image_too_large"),
    b"text bomb.png": (_file(_text_bomb), "image_too_large"),
    b"terabyte.bmp": (_terabyte, "image_too_large"),
    b"directory.png": (os.mkdir, "image_unreadable"),
    b"fifo.jpg": (os.mkfifo, "image_unreadable"),
    b"broken link.jpg": (_link(b"nowhere.jpg"), "image_missing"),
    b"link to itself.jpg": (_link(b"link to itself.jpg"), "image_unreadable"),
    b"two\nlines.jpg": (_text("<html></html>"), "image_unsupported"),
    b"\xe4\xff\xfe.jpg": (_half("JPEG"), "image_truncated"),
}
"""name -> how it is made, and the code its jobs must fail with"""

WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
"""a prefix for commands: run by root, they meet `unreadable` files like anyone else does"""
