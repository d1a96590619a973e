"""Small sound files of each format and variant that are let in: what the hostile ones are made of."""

from __future__ import annotations

import importlib
import importlib.util
import io
import random
import zlib

from PIL import Image, ImageCms

from tests.hostile import formats
from tests.hostile.formats import BITS, COMPRESSION, LONG, PLANAR, SAMPLES, SHORT, STRIP_SIZES, STRIPS, Tags
from tests.hostile.specimen import Data, once
from tests.pictures import encode

WIDTH, HEIGHT = 9, 7


def tiny(mode: str = "RGB", size: tuple[int, int] = (WIDTH, HEIGHT), seed: int = 0) -> Image.Image:
    """Few pixels and no two alike: a file of it is small, and each of its bytes matters."""
    rng = random.Random(f"{mode}/{seed}")
    image = Image.frombytes("RGB", size, rng.randbytes(3 * size[0] * size[1]))
    if mode == "P":
        return image.quantize(16)
    return image.convert(mode)


def _in(kind: str, mode: str = "RGB", **options: object) -> Data:
    return lambda: encode(tiny(mode), kind, **options)


def _several(kind: str, mode: str = "RGB", **options: object) -> Data:
    return lambda: encode(
        tiny(mode), kind, save_all=True, append_images=[tiny(mode, seed=1), tiny(mode, seed=2)], **options
    )


def _png(depth: int, color: int, channels: int) -> Data:
    line = (WIDTH * depth * channels + 7) // 8
    data = b"".join(b"\0" + random.Random(y).randbytes(line) for y in range(HEIGHT))
    extra = [(b"PLTE", random.Random(9).randbytes(3 * 2**depth))] if color == 3 else []
    head = formats.header(WIDTH, HEIGHT, depth, color)
    return lambda: formats.png(head, *extra, (b"IDAT", zlib.compress(data)), formats.END)


def _interlaced() -> bytes:
    return formats.interlaced(WIDTH, HEIGHT, tiny("L").tobytes())


def _tiff(*, big: bool = False, order: str = "<") -> Data:
    tags = formats.grey(WIDTH, HEIGHT, 16 if big else 8)
    return lambda: formats.tiff(tags, tiny("L").tobytes(), big=big, order=order)


def _planar() -> bytes:
    planes = [band.tobytes() for band in tiny().split()]
    size = WIDTH * HEIGHT
    tags: Tags = formats.grey(WIDTH, HEIGHT) | {
        BITS: (SHORT, [8, 8, 8]),
        SAMPLES: (SHORT, [3]),
        formats.PHOTOMETRIC: (SHORT, [2]),
        PLANAR: (SHORT, [2]),
        STRIPS: (LONG, [8, 8 + size, 8 + 2 * size]),
        STRIP_SIZES: (LONG, [size] * 3),
    }
    return formats.tiff(tags, b"".join(planes))


def _tiled() -> bytes:
    """Two tiles of 16 x 16, deflated, for 20 x 10 pixels."""
    image = tiny("L", (32, 16))
    tiles = [zlib.compress(image.crop((left, 0, left + 16, 16)).tobytes()) for left in (0, 16)]
    tags: Tags = {
        formats.WIDTH: (SHORT, [20]),
        formats.HEIGHT: (SHORT, [10]),
        BITS: (SHORT, [8]),
        COMPRESSION: (SHORT, [8]),
        formats.PHOTOMETRIC: (SHORT, [1]),
        SAMPLES: (SHORT, [1]),
        formats.TILE_WIDTH: (SHORT, [16]),
        formats.TILE_HEIGHT: (SHORT, [16]),
        formats.TILES: (LONG, [8, 8 + len(tiles[0])]),
        formats.TILE_SIZES: (LONG, [len(tile) for tile in tiles]),
    }
    return formats.tiff(tags, b"".join(tiles))


def _bmp(bits: int, *, head: int = 40, down: bool = False) -> Data:
    line = (WIDTH * bits + 31) // 32 * 4
    colors = random.Random(bits).randbytes((3 if head == 12 else 4) * 2**bits) if bits <= 8 else b""
    data = random.Random(-bits).randbytes(line * HEIGHT)
    return lambda: formats.bmp(WIDTH, -HEIGHT if down else HEIGHT, bits, data, palette=colors, head=head)


def _bmp_runs() -> bytes:
    data = b"".join(bytes((WIDTH, y % 4, 0, 0)) for y in range(HEIGHT)) + b"\0\1"
    return formats.bmp(WIDTH, HEIGHT, 8, data, palette=random.Random(1).randbytes(1024), compression=1)


def _with_profile(kind: str) -> Data:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return lambda: encode(tiny(), kind, icc_profile=profile)


def _ascii(magic: str, mode: str, white: int) -> Data:
    values = tiny(mode).convert("L" if mode == "1" else mode).tobytes()
    text = " ".join(str(value * white // 255) for value in values)
    last = "" if magic == "P1" else f" {white}"
    data = f"{magic}\n# drawn\n{WIDTH} {HEIGHT}{last}\n{text}\n".encode()
    return lambda: data


_JPEG_EXIF = Image.Exif()
_JPEG_EXIF[0x010F] = "Maker"

_DRAWN: dict[str, Data] = {
    "baseline.jpg": _in("JPEG", optimize=True),
    "grey.jpg": _in("JPEG", "L"),
    "progressive.jpg": _in("JPEG", progressive=True),
    "cmyk.jpg": _in("JPEG", "CMYK", optimize=True),
    "restarts.jpg": _in("JPEG", optimize=True, restart_marker_blocks=1),
    "exif.jpg": _in("JPEG", optimize=True, exif=_JPEG_EXIF),
    "stereo mpo.jpg": _several("MPO", optimize=True),
    **{
        f"{name}{depth}.png": _png(depth, color, channels)
        for name, color, channels, depths in (
            ("grey", 0, 1, (1, 2, 4, 8, 16)),
            ("rgb", 2, 3, (8, 16)),
            ("palette", 3, 1, (1, 2, 4)),
            ("grey with alpha", 4, 2, (8, 16)),
            ("rgba", 6, 4, (8, 16)),
        )
        for depth in depths
    },
    "interlaced.png": _interlaced,
    "animated apng.png": _several("PNG"),
    "lossy.webp": _in("WEBP"),
    "lossless.webp": _in("WEBP", lossless=True),
    "alpha.webp": _in("WEBP", "RGBA"),
    "animated.webp": _several("WEBP", lossless=True),
    "still.gif": _in("GIF", "P"),
    "animated.gif": _several("GIF", "P"),
    "interlaced.gif": _in("GIF", "P", interlace=1),
    "raw.tif": _tiff(),
    "motorola.tif": _tiff(order=">"),
    "bigtiff.tif": _tiff(big=True),
    "planar.tif": _planar,
    "tiled.tif": _tiled,
    **{
        f"{name}.tif": _in("TIFF", mode, compression=compression)
        for name, mode, compression in (
            ("lzw", "RGB", "tiff_lzw"),
            ("deflate", "RGB", "tiff_adobe_deflate"),
            ("packbits", "RGB", "packbits"),
            ("jpeg", "RGB", "jpeg"),
            ("fax3", "1", "group3"),
            ("fax4", "1", "group4"),
            ("zstd", "RGB", "zstd"),
            ("lzma", "RGB", "lzma"),
            ("float", "F", None),
            ("cmyk", "CMYK", "raw"),
        )
    },
    "pages.tif": _several("TIFF", "L"),
    **{f"{bits} bits.bmp": _bmp(bits) for bits in (1, 4, 8, 16, 24, 32)},
    "os2.bmp": _bmp(4, head=12),
    "v5.bmp": _bmp(24, head=124),
    "top down.bmp": _bmp(24, down=True),
    "runs.bmp": _bmp_runs,
    "binary.pbm": _in("PPM", "1"),
    "binary.pgm": _in("PPM", "L"),
    "binary.ppm": _in("PPM"),
    "ascii.pbm": _ascii("P1", "1", 1),
    "ascii.pgm": _ascii("P2", "L", 255),
    "ascii.ppm": _ascii("P3", "RGB", 15),
    "deep.pgm": lambda: f"P5 {WIDTH} {HEIGHT} 65535\n".encode() + random.Random(5).randbytes(2 * WIDTH * HEIGHT),
    "still.avif": _in("AVIF", speed=9),
    "animated.avif": _several("AVIF", speed=9),
}


def _heif() -> bytes:
    file = io.BytesIO()
    importlib.import_module("pillow_heif").from_pillow(tiny()).save(file)
    return file.getvalue()


if importlib.util.find_spec("pillow_heif"):
    _DRAWN["still.heic"] = _heif

SOUND: dict[str, Data] = {name: once(data) for name, data in _DRAWN.items()}
"""name -> the file"""
