from __future__ import annotations

import itertools
import math
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, JpegImagePlugin, PngImagePlugin

from pipeline.errors import ImageTooLarge, ImageTruncated, ImageUnreadable, ImageUnsupported, JobError
from tests.hostile.sound import SOUND as SOUND_FILES
from tests.pictures import ORIENTATION, bomb, encode, good, plain, png, scene
from workers import decoding

ROOM = 1 << 20
WHITE = (255, 255, 255)


@pytest.fixture(autouse=True, scope="module")
def pillow() -> Iterator[None]:
    """Pillow as the decoder sets it up, and afterwards as it was."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
        patch.setattr(PngImagePlugin, "MAX_TEXT_CHUNK", PngImagePlugin.MAX_TEXT_CHUNK)
        patch.setattr(PngImagePlugin.PngStream, "chunk_iCCP", PngImagePlugin.PngStream.chunk_iCCP)
        patch.setitem(JpegImagePlugin.MARKER, 0xFFE2, JpegImagePlugin.MARKER[0xFFE2])
        decoding.prepare()
        yield


def decode(data: bytes, *, max_pixels: int = 1_000_000, room: int = ROOM) -> Image.Image:
    image, _ = decoding.decode(data, max_pixels=max_pixels, room=room)
    assert image.mode == "RGB"
    return image


def pixels(image: Image.Image) -> list[tuple[int, int, int]]:
    raw = image.tobytes()
    return [(raw[i], raw[i + 1], raw[i + 2]) for i in range(0, len(raw), 3)]


def of(mode: str, *values: object) -> Image.Image:
    """One line of pixels."""
    image = Image.new(mode, (len(values), 1))
    for x, value in enumerate(values):
        image.putpixel((x, 0), value)  # type: ignore[arg-type]
    return image


def near(found: list[tuple[int, int, int]], expected: list[tuple[int, int, int]], by: int) -> bool:
    pairs = zip(itertools.chain(*found), itertools.chain(*expected), strict=True)
    return all(abs(a - b) <= by for a, b in pairs)


# --- formats -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF", "BMP", "PPM", "JPEG", "WEBP", "AVIF"])
def test_each_format(kind: str) -> None:
    image = scene(random.Random(0), 1)
    found, name = decoding.decode(encode(image, kind), max_pixels=1_000_000, room=ROOM)
    assert (name, found.size, found.mode) == (kind, image.size, "RGB")
    if kind in ("PNG", "TIFF", "BMP", "PPM"):
        assert found.tobytes() == image.tobytes()


def test_the_second_picture_of_a_stereo_jpeg_is_left_alone() -> None:
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    data = encode(first, "MPO", save_all=True, append_images=[second])
    found, name = decoding.decode(data, max_pixels=100, room=ROOM)
    assert name == "JPEG" and near(pixels(found)[:1], [(255, 0, 0)], 3)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
def test_the_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "lime", "blue")]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:])
    assert near(pixels(decode(data))[:1], [(255, 0, 0)], 3)


def test_every_good_picture(tmp_path: Path) -> None:
    for path in good(tmp_path, count=60):
        decode(Path(path.decode("utf-8", "surrogateescape")).read_bytes())


# --- upright -------------------------------------------------------------------------------------

W, H = 3, 2
SEEN_AT: dict[int, Callable[[int, int], tuple[int, int]]] = {
    1: lambda column, row: (column, row),
    2: lambda column, row: (W - 1 - column, row),
    3: lambda column, row: (W - 1 - column, H - 1 - row),
    4: lambda column, row: (column, H - 1 - row),
    5: lambda column, row: (row, column),
    6: lambda column, row: (H - 1 - row, column),
    7: lambda column, row: (H - 1 - row, W - 1 - column),
    8: lambda column, row: (row, W - 1 - column),
}
"""EXIF's orientation -> where a stored pixel is seen, by the words of the standard"""


@pytest.mark.parametrize("orientation", SEEN_AT)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG", "AVIF"])
def test_orientation(kind: str, orientation: int) -> None:
    block = 1 if kind in ("PNG", "TIFF", "WEBP") else 16  # lossy formats get blocks they can keep apart
    colours = [(250, 10, 10), (10, 250, 10), (10, 10, 250), (240, 240, 10), (10, 240, 240), (240, 10, 240)]
    stored = Image.new("RGB", (W, H))
    for number, colour in enumerate(colours):
        stored.putpixel((number % W, number // W), colour)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    big = stored.resize((W * block, H * block), Image.Resampling.NEAREST)
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100}
    found = decode(encode(big, kind, exif=exif, **options))
    for number, colour in enumerate(colours):
        x, y = SEEN_AT[orientation](number % W, number // W)
        seen = found.getpixel((x * block + block // 2, y * block + block // 2))
        assert isinstance(seen, tuple) and near([seen[:3]], [colour], 0 if block == 1 else 12)  # type: ignore[list-item]


@pytest.mark.parametrize("exif", [b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0", b"no exif at all"])
def test_broken_exif_costs_nothing(exif: bytes) -> None:
    assert decode(encode(Image.new("RGB", (2, 1)), "JPEG", exif=exif)).size == (2, 1)


def test_an_orientation_that_does_not_exist() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 9
    assert decode(encode(Image.new("RGB", (2, 1)), "PNG", exif=exif)).size == (2, 1)


# --- transparency --------------------------------------------------------------------------------


def test_alpha_is_laid_on_white() -> None:
    image = of("RGBA", (255, 0, 0, 255), (255, 0, 0, 128), (255, 0, 0, 0))
    assert pixels(decode(encode(image, "PNG"))) == [(255, 0, 0), (255, 127, 127), WHITE]


def test_grey_with_alpha() -> None:
    assert pixels(decode(encode(of("LA", (0, 255), (0, 51), (0, 0)), "PNG"))) == [(0, 0, 0), (204, 204, 204), WHITE]


def test_a_palette_with_a_transparent_colour() -> None:
    image = of("P", 0, 1, 2)
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    assert pixels(decode(encode(image, "PNG", transparency=1))) == [(10, 20, 30), WHITE, (70, 80, 90)]
    assert pixels(decode(encode(image, "PNG", transparency=b"\xff\x00\x80"))) == [(10, 20, 30), WHITE, (162, 167, 172)]
    assert pixels(decode(encode(image, "GIF", transparency=1))) == [(10, 20, 30), WHITE, (70, 80, 90)]


def test_one_transparent_colour() -> None:
    assert pixels(decode(encode(of("L", 5, 6), "PNG", transparency=6))) == [(5, 5, 5), WHITE]
    image = of("RGB", (1, 2, 3), (4, 5, 6))
    assert pixels(decode(encode(image, "PNG", transparency=(4, 5, 6)))) == [(1, 2, 3), WHITE]


# --- colours -------------------------------------------------------------------------------------


def test_one_bit() -> None:
    assert pixels(decode(encode(of("1", 0, 255), "PNG"))) == [(0, 0, 0), WHITE]


def test_cmyk() -> None:
    image = of("CMYK", (0, 0, 0, 0), (255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 255, 0), (0, 0, 0, 255))
    seen = [WHITE, (0, 255, 255), (255, 0, 255), (255, 255, 0), (0, 0, 0)]
    assert pixels(decode(encode(image, "TIFF"))) == seen


def adobe_marker(data: bytes) -> bytes:
    start = data.index(b"\xff\xee")
    return data[start : start + 2 + int.from_bytes(data[start + 2 : start + 4])]


@pytest.mark.parametrize("cmyk", [(200, 30, 0, 40), (0, 0, 0, 0), (0, 90, 180, 0)])
def test_cmyk_jpeg_of_adobe_and_of_others(cmyk: tuple[int, int, int, int]) -> None:
    c, m, y, k = cmyk
    seen = [
        (round((255 - c) * (255 - k) / 255), round((255 - m) * (255 - k) / 255), round((255 - y) * (255 - k) / 255))
    ]
    adobe = encode(Image.new("CMYK", (8, 8), cmyk), "JPEG", quality=100)
    assert near(pixels(decode(adobe))[:1], seen, 3)
    # Without Adobe's marker the values mean what they say, so the same bytes are the negative.
    other = encode(Image.new("CMYK", (8, 8), (255 - c, 255 - m, 255 - y, 255 - k)), "JPEG", quality=100)
    assert near(pixels(decode(other.replace(adobe_marker(other), b"")))[:1], seen, 3)


def deep_png(*values: int, chunks: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    return png(len(values), 1, 16, 0, b"\0" + struct.pack(f">{len(values)}H", *values), *chunks)


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    values = (0, 128, 129, 257, 32768, 65407, 65535)
    greys = [(grey,) * 3 for grey in (0, 0, 1, 1, 128, 255, 255)]
    assert pixels(decode(deep_png(*values))) == greys
    image = Image.frombytes("I;16", (7, 1), struct.pack("<7H", *values))
    assert pixels(decode(encode(image, "TIFF"))) == greys


def test_a_transparent_deep_grey_is_shown() -> None:
    assert pixels(decode(deep_png(0, 65535, chunks=((b"tRNS", b"\0\0"),)))) == [(0, 0, 0), WHITE]


def test_sixteen_bits_of_each_colour() -> None:
    rows = b"\0" + struct.pack(">6H", 65535, 32768, 0, 257, 514, 771)
    assert near(pixels(decode(png(2, 1, 16, 2, rows))), [(255, 128, 0), (1, 2, 3)], 1)


def test_a_deep_grey_map() -> None:
    assert pixels(decode(b"P5 3 1 65535\n" + struct.pack(">3H", 0, 32768, 65535))) == [(0, 0, 0), (128,) * 3, WHITE]


def test_values_without_a_known_white_are_stretched() -> None:
    image = of("I", -2_000_000_000, 0, 2_000_000_000)
    assert pixels(decode(encode(image, "TIFF"))) == [(0, 0, 0), (128,) * 3, WHITE]
    assert pixels(decode(encode(of("F", -3.0, 0.0, 3.0), "TIFF"))) == [(0, 0, 0), (128,) * 3, WHITE]


def test_floats_of_one_are_white() -> None:
    assert pixels(decode(encode(of("F", 0.0, 0.2, 0.5), "TIFF"))) == [(0, 0, 0), (51,) * 3, (128,) * 3]


def test_a_flat_deep_picture() -> None:
    assert pixels(decode(encode(of("F", 7.0, 7.0), "TIFF"))) == [(0, 0, 0)] * 2


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_no_numbers(value: float) -> None:
    with pytest.raises(ImageUnsupported, match="finite"):
        decode(encode(of("F", value, 1.0), "TIFF"))


# --- limits --------------------------------------------------------------------------------------


def test_the_limit_of_pixels_itself_is_allowed() -> None:
    data = encode(Image.new("RGB", (10, 10)), "PNG")
    assert decode(data, max_pixels=100).size == (10, 10)
    with pytest.raises(ImageTooLarge):
        decode(data, max_pixels=99)


def test_the_room_for_pixels() -> None:
    data = encode(Image.new("RGB", (10, 10)), "PNG")
    assert decode(data, room=300).size == (10, 10)
    with pytest.raises(ImageTooLarge, match="10 x 10 pixels need 300 bytes of 299"):
        decode(data, room=299)


@pytest.mark.parametrize("side", [1_200, 60_000])
def test_a_bomb(side: int) -> None:
    with pytest.raises(ImageTooLarge):
        decode(bomb(side))


def text_chunk(size: int) -> tuple[bytes, bytes]:
    return b"zTXt", b"note\0\0" + zlib.compress(bytes(size))


def test_long_texts_are_no_reason_to_refuse_a_picture_but_bombs_are() -> None:
    assert decode(png(1, 1, 8, 0, bytes(2), text_chunk(5 << 20))).size == (1, 1)
    with pytest.raises(ImageTooLarge):
        decode(png(1, 1, 8, 0, bytes(2), text_chunk(65 << 20)))
    with pytest.raises(ImageTooLarge):
        decode(png(1, 1, 8, 0, bytes(2), *[text_chunk(5 << 20)] * 20))


# --- what is no picture ----------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"x", b"BMW builds cars", b"Python and P5", b"GIF90a", b"%!PS-Adobe", bytes(99)])
def test_unsupported(data: bytes) -> None:
    with pytest.raises(ImageUnsupported, match="none of JPEG, PNG"):
        decode(data)


def test_heif_without_its_package() -> None:
    if "HEIF" in Image.OPEN:
        pytest.skip("pillow-heif is installed")
    with pytest.raises(ImageUnsupported, match="pillow-heif"):
        decode(b"\0\0\0\x18ftypheic" + bytes(40))


def test_a_png_that_was_cut_and_closed_again_is_truncated() -> None:
    with pytest.raises(ImageTruncated, match="its last rows are missing"):
        decode(png(9, 7, 8, 0, (b"\0" + b"\xff" * 9) * 6))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "AVIF"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated(kind: str, share: float) -> None:
    data = plain(kind)
    with pytest.raises(ImageTruncated):
        decode(data[: int(len(data) * share)])


@pytest.mark.parametrize(
    ("kind", "length"),
    [
        *[("JPEG", 1), ("JPEG", 12), ("PNG", 4), ("PNG", 12), ("PNG", 20), ("GIF", 3), ("GIF", 12)],
        *[("WEBP", 4), ("WEBP", 20), ("TIFF", 3), ("TIFF", 12), ("AVIF", 30), ("AVIF", 100)],
    ],
)
def test_truncated_headers(kind: str, length: int) -> None:
    with pytest.raises(ImageTruncated):
        decode(plain(kind)[:length])


def test_a_directory_that_is_cut_off_shows_nothing() -> None:
    """Pillow would leave out the tag that says the colors lie apart, and show one of them."""
    data = SOUND_FILES["planar.tif"]()
    assert decode(data).size == (9, 7)
    with pytest.raises(ImageTruncated, match="directory"):
        decode(data[:-1])


def test_an_avif_without_its_last_box() -> None:
    data = plain("AVIF")
    with pytest.raises(ImageTruncated):
        decode(data[: data.index(b"mdat") - 4])


def test_a_broken_avif_that_is_all_there() -> None:
    with pytest.raises(ImageUnreadable, match="AVIF header"):
        decode(plain("AVIF").replace(b"ispe", b"none"))


@pytest.mark.parametrize("profile", [b"", b"x", b"name\0\x07", b"name\0\0" + zlib.compress(bytes(80 << 20))])
def test_a_broken_profile_in_a_png_costs_nothing(profile: bytes) -> None:
    assert decode(png(1, 1, 8, 0, bytes(2), (b"iCCP", profile))).size == (1, 1)


@pytest.mark.parametrize("segment", [b"ICC_PROFILE\0", b"ICC_PROFILE\0\0\0", b"MPF\0MM\0*\xff\xff\xff\xff"])
def test_a_broken_profile_in_a_jpeg_costs_nothing(segment: bytes) -> None:
    data = plain("JPEG")
    marked = data[:2] + b"\xff\xe2" + struct.pack(">H", len(segment) + 2) + segment + data[2:]
    assert decode(marked).tobytes() == decode(data).tobytes()


def test_a_number_too_large_is_no_large_picture() -> None:
    with pytest.raises(ImageUnreadable, match="PPM data is broken"):
        decode(b"P2 5 1 7\n1 2 3 4 9\n")


def test_empty() -> None:
    with pytest.raises(ImageTruncated, match="0 bytes"):
        decode(b"")


def test_broken_inside() -> None:
    data = bytearray(plain("TIFF", compression="tiff_lzw"))
    data[100:400] = bytes(300)
    with pytest.raises(ImageUnreadable):
        decode(bytes(data))


def test_a_broken_header() -> None:
    data = plain("PNG").replace(b"IHDR", b"JHDR")
    with pytest.raises(ImageUnreadable, match="PNG header"):
        decode(data)


@settings(deadline=None)
@given(st.data())
def test_damage_costs_one_picture_at_most(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "AVIF"]))
    damaged = bytearray(SOUND[kind])
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, len(damaged) - 1), st.integers(0, 255)))):
        damaged[place] = value
    try:
        decode(bytes(damaged))
    except JobError as error:
        message = str(error)
        assert len(message) < 300 and "\n" not in message and " at 0x" not in message


SOUND = {
    kind: encode(Image.linear_gradient("L").resize((8, 8)).convert("RGB"), kind)
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "AVIF")
}
