"""TIFF directories that lie: chains without an end, pages by the thousand, counts and places of nowhere."""

from __future__ import annotations

import itertools
import random
import struct

from tests.hostile import formats
from tests.hostile.formats import LONG, SHORT, STRIP_SIZES, STRIPS, directory, grey, tiff, tiff_start
from tests.hostile.specimen import ANSWERED, ANY, REFUSED, TRUNCATED, Data, Specimen, Specimens, holding

_PIXELS = bytes(63)
_START = 8 + len(_PIXELS)
_TYPES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 17, 18, 99, 65535)
_COUNTS = (0, 2, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
_PLACES = (0, 1, 4, 0x7FFFFFFF, 0xFFFFFFFF)


def cycles() -> Specimens:
    """The first page is sound, so the picture is seen, whatever follows."""
    sound = tiff(grey(9, 7), _PIXELS)
    yield _held("next is itself", tiff(grey(9, 7), _PIXELS, then=_START), ANSWERED)
    yield _held("next is nowhere", tiff(grey(9, 7), _PIXELS, then=0xFFFFFFF0), ANSWERED)
    yield _held("next is the pixels", tiff(grey(9, 7), _PIXELS, then=8), ANSWERED)
    yield _held("next is the header", tiff(grey(9, 7), _PIXELS, then=1), ANSWERED)
    for length in (2, 100, 5000):
        yield holding("tiff", f"chain of {length}.tif", _chain(length, round_=False), ANSWERED)
        yield holding("tiff", f"ring of {length}.tif", _chain(length, round_=True), ANSWERED)
    for name, tag in (("sub", formats.SUB_IFDS), ("exif", formats.EXIF_IFD), ("gps", formats.GPS_IFD)):
        for where, place in (("itself", _START), ("nowhere", 0xFFFFFFF0), ("the pixels", 8), ("zero", 0)):
            data = tiff({**grey(9, 7), tag: (LONG, [place])}, _PIXELS)
            yield _held(f"{name} directory is {where}", data, ANSWERED)
        yield _held(
            f"{name} directories by the thousand", tiff({**grey(9, 7), tag: (LONG, [_START] * 1000)}, _PIXELS), ANSWERED
        )
    for first in (0, 1, 4, len(sound), len(sound) + 1, 0x7FFFFFFF, 0xFFFFFFFF):
        yield _held(f"first directory at {first:x}", tiff_start(first) + sound[8:], *REFUSED)


def _chain(length: int, *, round_: bool) -> Data:
    """So many pages that share their pixels; the last one's next is the first, or none."""
    size = len(directory(grey(9, 7), 0))

    def data() -> bytes:
        pages = bytearray(tiff_start(_START) + _PIXELS)
        for number in range(length):
            last = number == length - 1
            then = (_START if round_ else 0) if last else _START + (number + 1) * size
            pages += directory(grey(9, 7), len(pages), then=then)
        return bytes(pages)

    return data


def counts() -> Specimens:
    """Each tag of a plain picture with types, counts and places that cannot be."""
    for tag in grey(9, 7):
        for kind in _TYPES:
            yield _entry(tag, f"has type {kind}", slice(2, 4), struct.pack("<H", kind))
        for count in _COUNTS:
            yield _entry(tag, f"counts {count:x}", slice(4, 8), struct.pack("<I", count))
        for place, count in itertools.product(_PLACES, (5, 0x10000)):
            yield _entry(tag, f"lies at {place:x} with {count:x}", slice(4, 12), struct.pack("<II", count, place))
        without = {each: value for each, value in grey(9, 7).items() if each != tag}
        yield _held(f"without tag {tag}", tiff(without, _PIXELS), *ANY)
    for number in (0, 1, 8, 10, 255, 65535):
        data = bytearray(tiff(grey(9, 7), _PIXELS))
        data[_START : _START + 2] = struct.pack("<H", number)
        yield _held(f"{number} entries", bytes(data), *ANY)
    yield _held("65000 tags", tiff({**grey(9, 7), **{1000 + n: (SHORT, [1]) for n in range(31000)}}, _PIXELS), *ANY)


def _entry(tag: int, what: str, part: slice, value: bytes) -> Specimen:
    data = bytearray(tiff(grey(9, 7), _PIXELS))
    start = _START + 2 + 12 * sorted(grey(9, 7)).index(tag)
    data[start + part.start : start + part.stop] = value
    return _held(f"tag {tag} {what}", bytes(data), *ANY)


def strips() -> Specimens:
    """Pixels that are elsewhere, overlap, or are told apart by numbers nobody can mean."""
    many = [8] * 20_000
    for name, tags in {
        "strips by the thousand": {STRIPS: (LONG, many), STRIP_SIZES: (LONG, [1] * len(many))},
        "one row each, but no rows": {formats.ROWS: (LONG, [1])},
        "no rows in a strip": {formats.ROWS: (LONG, [0])},
        "no tile width": {formats.TILE_WIDTH: (SHORT, [0]), formats.TILE_HEIGHT: (SHORT, [0])},
        "tiles without an end": {formats.TILE_WIDTH: (LONG, [0xFFFFFFF0]), formats.TILE_HEIGHT: (LONG, [0xFFFFFFF0])},
        "a tile of 16384": {
            formats.TILE_WIDTH: (LONG, [16384]),
            formats.TILE_HEIGHT: (LONG, [16384]),
            formats.TILES: (LONG, [8]),
            formats.TILE_SIZES: (LONG, [63]),
            formats.COMPRESSION: (SHORT, [8]),
        },
        "64 bits a sample": {formats.BITS: (SHORT, [64])},
        "no bits a sample": {formats.BITS: (SHORT, [0])},
        "65535 samples": {formats.SAMPLES: (SHORT, [65535])},
        "planes that are not there": {formats.PLANAR: (SHORT, [2]), formats.SAMPLES: (SHORT, [3])},
    }.items():
        yield _held(name, tiff({**grey(9, 7), **tags}, _PIXELS), *ANY)
    for compression in (
        0,
        *range(2, 10),
        32771,
        32773,
        32809,
        32946,
        33003,
        34661,
        34663,
        34676,
        34887,
        34925,
        50000,
        50001,
        65535,
    ):
        data = tiff(
            {**grey(9, 7), formats.COMPRESSION: (SHORT, [compression])}, random.Random(compression).randbytes(63)
        )
        yield _held(f"compression {compression}", data, *ANY)
    for photometric in range(12):
        yield _held(
            f"photometric {photometric}",
            tiff({**grey(9, 7), formats.PHOTOMETRIC: (SHORT, [photometric])}, _PIXELS),
            *ANY,
        )
    yield _held("pixels behind the end", tiff({**grey(9, 7), STRIPS: (LONG, [5000])}, _PIXELS), TRUNCATED)
    yield _held("pixels at the last byte", tiff({**grey(9, 7), STRIPS: (LONG, [_START + 110])}, _PIXELS), TRUNCATED)


def _held(name: str, data: bytes, *ends: str) -> Specimen:
    return holding("tiff", f"{name}.tif", lambda: data, *ends)
