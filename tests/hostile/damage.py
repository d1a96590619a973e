"""Sound files with one thing wrong: cut off at each byte, other bytes and bits, the beginning of another format."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import PurePath

from tests.hostile.sound import SOUND
from tests.hostile.specimen import ANSWERED, ANY, REFUSED, TRUNCATED, UNREADABLE, UNSUPPORTED, Specimens, holding

FLIPS = 40
"""of each sort, for each sound file"""

MAGICS: dict[str, bytes] = {
    "jpeg": b"\xff\xd8\xff",
    "png": b"\x89PNG\r\n\x1a\n",
    "gif": b"GIF89a",
    "webp": b"RIFF\x40\0\0\0WEBP",
    "tiff": b"II*\0\x08\0\0\0",
    "bigtiff": b"MM\0+\0\x08\0\0",
    "bmp": b"BM\x60\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0",
    "ppm": b"P6 ",
    "avif": b"\0\0\0\x1cftypavif\0\0\0\0",
    "heif": b"\0\0\0\x1cftypheic\0\0\0\0",
}
STRANGERS: dict[str, bytes] = {
    "zeros": bytes(16),
    "ones": b"\xff" * 16,
    "text": b"This is a letter",
    "newlines": b"\x89PNG\n\x1a\n\0",
    "jpeg 2000": b"\0\0\0\x0cjP  \r\n\x87\n",
    "photoshop": b"8BPS\0\x01\0\0",
    "icon": b"\0\0\x01\0\x01\0\x10\x10",
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0",
    "sun raster": b"\x59\xa6\x6a\x95",
    "movie": b"\0\0\0\x18ftypmp42",
    "pickle": b"\x80\x04\x95\x10\0\0\0\0\0\0\0",
    "program": b"\x7fELF\x02\x01\x01\0",
}


def _cut(data: bytes, end: int) -> Callable[[], bytes]:
    return lambda: data[:end]


def truncated() -> Specimens:
    """Every point at which a file can end too early. Some lose nothing but an end mark: then all must be seen."""
    for name, sound in SOUND.items():
        data, path = sound(), PurePath(name)
        for end in range(len(data)):
            ends = (TRUNCATED, ANSWERED) if end >= _SIGNED else (TRUNCATED, UNSUPPORTED)
            # Half of an ASCII picture's last number is a number.
            like = None if path.stem == "ascii" else sound
            yield holding("truncated", f"{path.stem} at {end:04}{path.suffix}", _cut(data, end), *ends, like=like)


def closed() -> Specimens:
    """Files that end too early and say that this is their end: viewers show what there is."""
    for name, end in (("baseline.jpg", b"\xff\xd9"), ("progressive.jpg", b"\xff\xd9"), ("still.gif", b"\0;")):
        data, path = SOUND[name](), PurePath(name)
        for tenths in range(1, 10):
            cut = data[: len(data) * tenths // 10] + end
            yield holding("closed", f"{path.stem} at {tenths} tenths{path.suffix}", _cut(cut, len(cut)), *ANY)


_SIGNED = 66
"""So many bytes tell every format for sure: a brand of AVIF may come late."""


def flipped() -> Specimens:
    """One byte or one bit is another: mostly nobody notices, or the picture looks odd."""
    for name, sound in SOUND.items():
        path = PurePath(name)
        for number in range(FLIPS):
            for what, flip in _FLIPS.items():
                data = _with(sound(), random.Random(f"{name}/{what}/{number}"), flip)
                yield holding("flipped", f"{path.stem} {what} {number:02}{path.suffix}", data, *ANY)


def _with(data: bytes, rng: random.Random, flip: Callable[[bytearray, random.Random], None]) -> Callable[[], bytes]:
    damaged = bytearray(data)
    flip(damaged, rng)
    return lambda: bytes(damaged)


def _byte(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] = rng.choice((0, 0xFF, 0x7F, 0x80, rng.randrange(256)))


def _bit(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _bytes(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randrange(2, 20)):
        _byte(data, rng)


def _stretch(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    data[start : start + rng.randrange(4, 40)] = rng.randbytes(rng.randrange(80))


_FLIPS = {"byte": _byte, "bit": _bit, "bytes": _bytes, "stretch": _stretch}


def mistaken() -> Specimens:
    """Files that begin like another format, or like none."""
    for name, sound in SOUND.items():
        path = PurePath(name)
        for other, magic in MAGICS.items():
            data = magic + sound()[len(magic) :]
            yield holding("magic", f"{path.stem} as {other}{path.suffix}", _cut(data, len(data)), *ANY)
        for other, start in STRANGERS.items():
            data = start + sound()[len(start) :]
            # The first four bytes of an AVIF are a length, and what else it is stands behind its brand.
            ends = (UNSUPPORTED, UNREADABLE, TRUNCATED) if path.suffix in (".avif", ".heic") else (UNSUPPORTED,)
            yield holding("magic", f"{path.stem} as {other}{path.suffix}", _cut(data, len(data)), *ends)
    for other, magic in MAGICS.items():
        yield holding("magic", f"nothing but {other}.jpg", _cut(magic, len(magic)), *REFUSED)
        yield holding("magic", f"{other} and noise.jpg", _noise(magic), *REFUSED)
        yield holding("magic", f"{other} and zeros.jpg", _cut(magic + bytes(4000), 5000), *REFUSED)
    for value in range(256):
        yield holding("magic", f"one byte {value:02x}.jpg", _cut(bytes((value,)), 1), TRUNCATED, UNSUPPORTED)
    yield holding("magic", "empty.jpg", bytes, TRUNCATED)
    yield holding("magic", "a page.jpg", lambda: b"<!DOCTYPE html><title>404 Not Found</title>", UNSUPPORTED)
    yield holding("magic", "wrong twice.png", lambda: b"\x89PNG\r\n\x1a\n" * 2, UNREADABLE, TRUNCATED)


def _noise(magic: bytes) -> Callable[[], bytes]:
    return lambda: magic + random.Random(magic).randbytes(4000)
