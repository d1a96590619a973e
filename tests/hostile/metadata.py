"""What rides along in sound pictures, as garbage: EXIF, XMP, color profiles, texts. The picture must be seen."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Mapping

from tests.hostile import formats
from tests.hostile.formats import (
    EXIF_IFD,
    GPS_IFD,
    LONG,
    SHORT,
    chunk,
    directory,
    packed,
    riff,
    riff_chunks,
    segment,
    tiff,
    tiff_start,
    with_segments,
)
from tests.hostile.sound import SOUND
from tests.hostile.specimen import ANSWERED, ANY, TOO_LARGE, UNREADABLE, Data, Specimens, holding

ORIENTATION, THUMBNAIL, THUMBNAIL_SIZE, MAKER_NOTE = 274, 513, 514, 37500
_HEAD = b"Exif\0\0"


def _turned(value: int, kind: int = SHORT, count: int = 1) -> bytes:
    return tiff({ORIENTATION: (kind, [value] * count)})


def _raw_entry(tag: int, kind: int, count: int, value: bytes) -> bytes:
    return tiff_start(8) + struct.pack("<HHHI", 1, tag, kind, count) + value + bytes(4)


EXIF: Mapping[str, bytes] = {
    "nothing": b"",
    "one byte": b"I",
    "noise": random.Random("exif").randbytes(500),
    "zeros": bytes(200),
    "text": b"no EXIF at all",
    "neither order": b"XX*\0\x08\0\0\0",
    "wrong number": b"II+\0\x08\0\0\0",
    "directory nowhere": tiff_start(0xFFFFFFFF),
    "directory at zero": tiff_start(0),
    "directory in the header": tiff_start(2),
    "no entries": tiff_start(8) + bytes(6),
    "65535 entries": tiff_start(8) + b"\xff\xff" + bytes(120),
    "half an entry": tiff_start(8) + b"\x01\0\x12\x01\x03",
    "next is itself": tiff({0x010F: (2, b"Maker\0")}, then=8),
    "exif directory is itself": tiff({EXIF_IFD: (LONG, [8])}),
    "exif directory nowhere": tiff({EXIF_IFD: (LONG, [0xFFFFFF])}),
    "exif directory in itself": tiff({EXIF_IFD: (LONG, [30])}) + directory({EXIF_IFD: (LONG, [30])}, 30),
    "gps directory is itself": tiff({GPS_IFD: (LONG, [8])}),
    "gps directory is text": tiff({GPS_IFD: (2, b"north of here\0")}),
    "interop directory is itself": tiff({EXIF_IFD: (LONG, [8]), 40965: (LONG, [8])}),
    "both directories are each other": tiff({EXIF_IFD: (LONG, [26])}) + directory({EXIF_IFD: (LONG, [8])}, 26),
    "count without an end": _raw_entry(0x010F, 2, 0xFFFFFFFF, struct.pack("<I", 8)),
    "rationals without an end": _raw_entry(0x011A, 5, 0x1FFFFFFF, struct.pack("<I", 8)),
    "rational of zeros": _raw_entry(0x011A, 5, 1, struct.pack("<I", 0)),
    "unknown type": _raw_entry(0x010F, 77, 1, bytes(4)),
    "huge thumbnail": tiff({THUMBNAIL: (LONG, [30]), THUMBNAIL_SIZE: (LONG, [0xFFFFFFFF])}),
    "thumbnail of noise": tiff({THUMBNAIL: (LONG, [38]), THUMBNAIL_SIZE: (LONG, [9000])})
    + random.Random(1).randbytes(9000),
    "huge maker note": tiff({MAKER_NOTE: (7, bytes(50_000))}),
    "maker note of another": tiff({EXIF_IFD: (LONG, [26])})
    + directory({MAKER_NOTE: (7, b"Nikon\0\x02\x10\0\0MM\0*\0\0\0\x08\xff\xff")}, 26),
    "text that is no text": tiff({0x010E: (2, b"\xff\xfe\xfa\0\x80"), 0x013B: (2, b"\xc3\x28\0")}),
    "orientation is text": tiff({ORIENTATION: (2, b"upright\0")}),
    "orientation twice": tiff_start(8)
    + struct.pack("<H", 2)
    + struct.pack("<HHIHH", ORIENTATION, SHORT, 1, 1, 0) * 2
    + bytes(4),
    "orientation nowhere": _raw_entry(ORIENTATION, SHORT, 9, struct.pack("<I", 0xFFFFFF)),
    "orientation counts nothing": _raw_entry(ORIENTATION, SHORT, 0, bytes(4)),
    "orientation is a fraction": _raw_entry(ORIENTATION, 5, 1, struct.pack("<I", 26)) + struct.pack("<II", 3, 0),
    "orientation is not finite": _raw_entry(ORIENTATION, 12, 1, struct.pack("<I", 26))
    + struct.pack("<d", float("nan")),
    "orientation is a float": _raw_entry(ORIENTATION, 11, 1, struct.pack("<f", 6.5)),
    **{f"orientation {value}": _turned(value) for value in (0, 1, 9, 255, 65535)},
    **{
        f"orientation of type {kind}": _raw_entry(ORIENTATION, kind, 1, b"\x0b\0\0\0")
        for kind in (1, 2, 4, 6, 7, 8, 9, 10, 13, 16)
    },
    **{
        f"tag {tag:x} is noise": _raw_entry(tag, kind, 3, struct.pack("<I", 8))
        for tag in (0x0103, 0x0111, 0x0201, 0x8298, 0x9000, 0xA005, 0xEA1C)
        for kind in (2, 3, 4, 5, 7, 12)
    },
}
"""EXIF blocks, without their `Exif` mark, of which nothing may be seen in the picture"""

ICC: Mapping[str, bytes] = {
    "nothing": b"",
    "one byte": b"\0",
    "zeros": bytes(128),
    "noise": random.Random("icc").randbytes(3000),
    "length of 4 GB": b"\xff\xff\xff\xff" + b"lcms\x04\x30\0\0mntrRGB XYZ " + bytes(104),
    "length of none": bytes(4) + b"lcms\x04\x30\0\0mntrRGB XYZ " + bytes(104),
    "for ink": struct.pack(">I", 132) + b"lcms\x04\x30\0\0prtrCMYKLab " + bytes(108),
    "a million tags": struct.pack(">I", 132) + b"lcms\x04\x30\0\0mntrRGB XYZ " + bytes(104) + b"\0\x0f\x42\x40",
    "long": random.Random("long").randbytes(60_000),
}

XMP: Mapping[str, bytes] = {
    "nothing": b"",
    "no xml": b"\0\xff<<<&&&",
    "not closed": b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a>' * 50,
    "entities of entities": b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "&%c;&%c;&%c;&%c;&%c;">' % (98 + n, *[97 + n] * 5) for n in range(20))
    + b"]><a>&u;</a>",
    "a file from outside": b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "deep": b"<a>" * 10_000,
    "orientation 99": b'<x tiff:Orientation="99"/>',
    "orientation of digits": b'<x tiff:Orientation="' + b"9" * 5000 + b'"/>',
    "orientation of other digits": '<x tiff:Orientation="٣"/>'.encode(),
    "orientation of nothing": b'<x tiff:Orientation=""/>',
}


def _jpeg(mark: int, head: bytes) -> Callable[[bytes], bytes]:
    return lambda block: with_segments(SOUND["baseline.jpg"](), [segment(mark, (head + block)[:65533])])


def _png(name: bytes, head: bytes = b"", *, pack: bool = False) -> Callable[[bytes], bytes]:
    def put(block: bytes) -> bytes:
        data, extra = SOUND["rgb8.png"](), chunk(name, head + (zlib.compress(block) if pack else block))
        return data[:33] + extra + data[33:]

    return put


def _webp(name: bytes, flag: int) -> Callable[[bytes], bytes]:
    def put(block: bytes) -> bytes:
        image = riff_chunks(SOUND["lossless.webp"]())[0]
        extended = (b"VP8X", bytes((flag, 0, 0, 0)) + (8).to_bytes(3, "little") + (6).to_bytes(3, "little"))
        parts = [extended, (name, block), image] if name == b"ICCP" else [extended, image, (name, block)]
        return riff(*parts)

    return put


def _tiff(tag: int) -> Callable[[bytes], bytes]:
    def put(block: bytes) -> bytes:
        return tiff({**formats.grey(9, 7), tag: (7, block or b"\0")}, PIXELS)

    return put


PIXELS = bytes(range(63))


def _sound_tiff() -> bytes:
    return tiff(formats.grey(9, 7), PIXELS)


_CARRIERS: dict[str, tuple[str, Mapping[str, bytes], Callable[[bytes], bytes], Data]] = {
    "exif in a jpeg": (".jpg", EXIF, _jpeg(0xE1, _HEAD), SOUND["baseline.jpg"]),
    "exif in a png": (".png", EXIF, _png(b"eXIf"), SOUND["rgb8.png"]),
    "exif with its mark in a png": (".png", EXIF, _png(b"eXIf", _HEAD), SOUND["rgb8.png"]),
    "exif in a webp": (".webp", EXIF, _webp(b"EXIF", 8), SOUND["lossless.webp"]),
    "icc in a jpeg": (".jpg", ICC, _jpeg(0xE2, b"ICC_PROFILE\0\x01\x01"), SOUND["baseline.jpg"]),
    "icc in a png": (".png", ICC, _png(b"iCCP", b"name\0\0", pack=True), SOUND["rgb8.png"]),
    "icc unpacked in a png": (".png", ICC, _png(b"iCCP", b"name\0\0"), SOUND["rgb8.png"]),
    "icc without a name in a png": (".png", ICC, _png(b"iCCP"), SOUND["rgb8.png"]),
    "icc in a webp": (".webp", ICC, _webp(b"ICCP", 32), SOUND["lossless.webp"]),
    "icc in a tiff": (".tif", ICC, _tiff(34675), _sound_tiff),
    "xmp in a jpeg": (".jpg", XMP, _jpeg(0xE1, b"http://ns.adobe.com/xap/1.0/\0"), SOUND["baseline.jpg"]),
    "xmp in a png": (".png", XMP, _png(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0"), SOUND["rgb8.png"]),
    "xmp in a webp": (".webp", XMP, _webp(b"XMP ", 4), SOUND["lossless.webp"]),
    "xmp in a tiff": (".tif", XMP, _tiff(700), _sound_tiff),
}


def garbage() -> Specimens:
    for carrier, (suffix, blocks, put, sound) in _CARRIERS.items():
        for name, block in blocks.items():
            yield holding("metadata", f"{carrier} {name}{suffix}", _put(put, block), ANSWERED, like=sound)


def _put(put: Callable[[bytes], bytes], block: bytes) -> Data:
    return lambda: put(block)


def segments() -> Specimens:
    """Segments of a JPEG that are out of order, missing, double, or of lengths that lie."""
    sound = SOUND["baseline.jpg"]

    def profile(number: int, count: int, body: bytes = b"part") -> bytes:
        return segment(0xE2, b"ICC_PROFILE\0" + bytes((number, count)) + body)

    for name, parts in {
        "profile backwards": [profile(3, 3), profile(2, 3), profile(1, 3)],
        "profile without its middle": [profile(1, 3), profile(3, 3)],
        "profile twice": [profile(1, 1), profile(1, 1)],
        "profile of none": [profile(0, 0)],
        "profile of 255 parts": [profile(number, 255, bytes(200)) for number in range(1, 256)],
        "profile that disagrees": [profile(1, 2), profile(2, 9)],
        "profile without numbers": [segment(0xE2, b"ICC_PROFILE\0")],
        "exif twice": [segment(0xE1, _HEAD + _turned(1)), segment(0xE1, _HEAD + _turned(1))],
        "exif a hundred times": [segment(0xE1, _HEAD + bytes(500))] * 100,
        "photoshop noise": [segment(0xED, b"Photoshop 3.0\x008BIM" + random.Random(3).randbytes(300))],
        "photoshop without an end": [segment(0xED, b"Photoshop 3.0\x008BIM\x03\xed\0\0\xff\xff\xff\xff")],
        "pictures index noise": [segment(0xE2, b"MPF\0" + random.Random(4).randbytes(80))],
        "pictures index is itself": [
            segment(0xE2, b"MPF\0" + tiff({0xB001: (LONG, [9999]), 0xB002: (7, bytes(16))}, then=8))
        ],
        "a thousand remarks": [segment(0xFE, b"remark")] * 1000,
        "jfif of noise": [segment(0xE0, b"JFIF\0" + random.Random(5).randbytes(9))],
        "jfif of no density": [segment(0xE0, b"JFIF\0\x01\x02\x01\0\0\0\0\xff\xff")],
        "empty segments": [segment(mark, b"") for mark in range(0xE0, 0xF0) if mark != 0xEE],
    }.items():
        yield holding("metadata", f"jpeg with {name}.jpg", _with(parts), ANSWERED, like=sound)
    for length in (0, 1, 3, 9, 0xFFFF):
        for mark in (0xC0, 0xC4, 0xDB, 0xDA, 0xDD, 0xE0, 0xE1, 0xFE):
            yield holding(
                "metadata",
                f"jpeg segment {mark:x} of length {length}.jpg",
                _with([segment(mark, b"abc", length=length)]),
                *ANY,
            )


def _with(parts: list[bytes]) -> Data:
    return lambda: with_segments(SOUND["baseline.jpg"](), parts)


def texts() -> Specimens:
    """Texts that unfold to more than a picture may cost, and some that do not."""
    for name, size, end in (("fits", 1, ANSWERED), ("bomb", 80, TOO_LARGE)):
        yield holding("metadata", f"zTXt that {name}.png", _unfolding(b"zTXt", b"note\0\0", size), end)
        yield holding("metadata", f"iTXt that {name}.png", _unfolding(b"iTXt", b"note\0\x01\0\0\0", size), end)
        yield holding("metadata", f"profile that {name}.png", _unfolding(b"iCCP", b"note\0\0", size), ANSWERED)
    for name, body in {
        "no end": b"note",
        "no name": b"\0\0",
        "no packing": b"note\0\x09abc",
        "noise": b"note\0\0" + bytes(90),
    }.items():
        for sort in ("tEXt", "zTXt", "iTXt"):
            data = _held(_png(sort.encode())(body))
            yield holding("metadata", f"{sort} with {name}.png", data, ANSWERED, UNREADABLE, like=SOUND["rgb8.png"])
    yield holding("metadata", "a hundred texts of a megabyte.png", _many_texts, TOO_LARGE)


def _held(data: bytes) -> Data:
    return lambda: data


def _unfolding(sort: bytes, head: bytes, megabytes: int) -> Data:
    return lambda: _png(sort, head)(packed(megabytes))


def _many_texts() -> bytes:
    data, text = SOUND["rgb8.png"](), chunk(b"zTXt", b"note\0\0" + packed(1))
    return data[:33] + text * 100 + data[33:]
