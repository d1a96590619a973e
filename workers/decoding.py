"""From a picture file's bytes to upright RGB pixels.

Colour profiles are ignored, as the models' own preprocessing does. Transparency is laid on white,
deep greys are scaled, and of an animation the first frame is taken.
"""

from __future__ import annotations

import importlib.util
import io
import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import AvifImagePlugin, Image, ImageChops, ImageFile, JpegImagePlugin, PngImagePlugin, UnidentifiedImageError

from pipeline.errors import ImageTooLarge, ImageTruncated, ImageUnreadable, ImageUnsupported, JobError
from workers import png

KINDS: dict[str, re.Pattern[bytes]] = {
    kind: re.compile(pattern, re.DOTALL)
    for kind, pattern in {
        "JPEG": rb"\xff\xd8\xff",
        "PNG": rb"\x89PNG\r\n\x1a\n",
        "WEBP": rb"RIFF.{4}WEBP",
        "GIF": rb"GIF8[79]a",
        "TIFF": rb"II[*+]\0|MM\0[*+]",
        "BMP": rb"BM.{12}[\x0c(48@l|]\0\0\0",  # with the length of its header, since texts begin with BM too
        "PPM": rb"P[1-6]\s",
        "AVIF": rb".{4}ftyp(?:avis|.{0,48}avif)",
        "HEIF": rb".{4}ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)",
    }.items()
}
"""the formats that are let in -> how their files begin; HEIF counts where pillow-heif is installed"""

_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")
_PLUGINS = ("AvifImagePlugin", "MpoImagePlugin", "TiffImagePlugin", "WebPImagePlugin")
_CUT_SHORT = ("truncated", "not enough image data")
_TOO_MUCH = ("out of memory", "decompressed data too large", "too much memory")
_PIXELS = "PIXMILL_MAX_PICTURE_PIXELS"
_WHITE_16 = 0xFFFF
_TO_8_BITS = [(value * 255 + _WHITE_16 // 2) // _WHITE_16 for value in range(_WHITE_16 + 1)]

# EXIF's orientation -> what turns the picture upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112


def prepare() -> None:
    """Load what decoding needs, before memory is limited, and set Pillow up for files nobody vouches for."""
    Image.preinit()
    for name in _PLUGINS:
        importlib.import_module(f"PIL.{name}")
    if importlib.util.find_spec("pillow_heif"):
        importlib.import_module("pillow_heif").register_heif_opener()
    # One 1 MiB text in a PNG (an editor's history, say) is no reason to refuse it; 64 MiB in all still are.
    PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # threads' stacks and arenas would count against the memory limit
    _leave_profiles_alone()


_APP2 = 0xFFE2


def _leave_profiles_alone() -> None:
    """They are ignored, so that a broken one costs nothing; as little does the list of a stereo JPEG's pictures."""
    JpegImagePlugin.MARKER[_APP2] = ("APP2", "profiles and lists of pictures", JpegImagePlugin.Skip)
    PngImagePlugin.PngStream.chunk_iCCP = _skip_chunk  # type: ignore[assignment,method-assign]


def _skip_chunk(png: PngImagePlugin.PngStream, position: int, length: int) -> bytes:
    assert png.fp is not None
    return ImageFile._safe_read(png.fp, length)


def decode(data: bytes, *, max_pixels: int, room: int) -> tuple[Image.Image, str]:
    """The first frame, upright and in RGB, with the format's name. Sizes are checked before pixels are made."""
    kind = _kind(data)
    Image.MAX_IMAGE_PIXELS = max_pixels  # Pillow itself looks at the frames and tiles inside
    stream = _Stream(data)
    try:
        with _bombs_only(), _open(stream, kind) as image:
            _check_size(*image.size, max_pixels=max_pixels, room=room)
            image.load()
            if kind == "PNG" and png.lacks_rows(data, image):
                raise ImageTruncated(why="its last rows are missing")
            return _upright(to_rgb(image), _orientation(image)), kind
    except JobError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(why=f"it has more than {max_pixels:,} pixels ({_PIXELS} allows more)") from error
    except MemoryError as error:
        raise ImageTooLarge(why="decoding it takes more memory than is allowed") from error
    except Exception as error:  # a broken file makes Pillow raise anything at all
        if stream.ran_out:
            raise ImageTruncated(why="its header is incomplete") from error
        if _stated_size(data) > len(data):
            raise ImageTruncated(why=f"it goes on behind its {len(data):,} bytes") from error
        raise _verdict(error, kind) from error


def to_rgb(image: Image.Image) -> Image.Image:
    """The same picture in RGB, as a viewer would show it on a white page."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _to_8_bits(image)
    if image.mode == "CMYK" and image.format == "JPEG" and "adobe" not in image.info:
        image = ImageChops.invert(image)  # Pillow takes every CMYK JPEG for one of Adobe's, which are inverted
    if image.has_transparency_data:
        return _on_white(image if image.mode == "RGBA" else image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")


def _kind(data: bytes) -> str:
    if not data:
        raise ImageTruncated(why="it has 0 bytes")
    kind = next((kind for kind, beginning in KINDS.items() if beginning.match(data)), None)
    if kind is None and any(beginning.startswith(data) for beginning in _BEGINNINGS):
        raise ImageTruncated(why="it has no more than its first bytes")
    if kind is None:
        raise ImageUnsupported(why=f"it is none of {', '.join(KINDS)}")
    if kind not in Image.OPEN:
        raise ImageUnsupported(why=f"for {kind}, the package pillow-heif must be installed")
    return kind


@contextmanager
def _bombs_only() -> Iterator[None]:
    """Of Pillow's warnings, let the one about size be an error and drop the others."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


class _Stream(io.BytesIO):
    """Bytes that remember whether the header went on beyond their end."""

    ran_out = False
    _in_header = True

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if self._in_header and size is not None and len(data) < size:
            self.ran_out = True
        return data

    def header_ends(self) -> None:
        """From now on Pillow reads in blocks, of which the last may be short."""
        self._in_header = False


def _open(stream: _Stream, kind: str) -> Image.Image:
    image = Image.open(stream, formats=(kind,))
    stream.header_ends()
    if kind == "TIFF" and stream.ran_out:
        # Pillow leaves out the tag and all behind it: a picture in planes would be one of them.
        raise ImageTruncated(why="its directory is incomplete")
    return image


def _stated_size(data: bytes) -> int:
    """How long a WebP, AVIF or HEIF says it is: their decoders take all or nothing, and do not say what was wrong."""
    if data.startswith(b"RIFF"):
        return 8 + int.from_bytes(data[4:8], "little")
    return _end_of_boxes(data) if data[4:8] == b"ftyp" else 0


def _end_of_boxes(data: bytes) -> int:
    """Where the last box ends; behind the data if none has come yet that holds the picture."""
    place, picture = 0, False
    while place < len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        picture = picture or data[place + 4 : place + 8] == b"mdat"
        if size == 1:
            size = int.from_bytes(data[place + 8 : place + 16], "big")
        if size == 0:  # it goes on to the end, wherever that is
            size = len(data)
        place += max(size, 8)
    return place if picture else len(data) + 1


def _check_size(width: int, height: int, *, max_pixels: int, room: int) -> None:
    if width * height > max_pixels:
        raise ImageTooLarge(why=f"{width} x {height} pixels, the limit is {max_pixels:,} ({_PIXELS} allows more)")
    if width * height * 3 > room:
        raise ImageTooLarge(why=f"{width} x {height} pixels need {width * height * 3:,} bytes of {room:,}")


def _orientation(image: Image.Image) -> int | None:
    try:
        value = image.getexif().get(_ORIENTATION)
    except Exception:  # noqa: BLE001  broken EXIF takes nothing from the pixels
        return None
    return value if isinstance(value, int) else None


def _upright(image: Image.Image, orientation: int | None) -> Image.Image:
    turn = _UPRIGHT.get(orientation or 1)
    return image if turn is None else image.transpose(turn)


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Greys of 16 bits against their white; others against 1.0, or stretched when they have no such white."""
    low, high = image.getextrema()
    assert isinstance(low, int | float) and isinstance(high, int | float)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ImageUnsupported(why="its values are not all finite numbers")
    if image.mode != "F" and low >= 0 and high <= _WHITE_16:
        grey = image.convert("I").point(_TO_8_BITS, "L")
    else:
        black, white = (0, 1) if image.mode == "F" and low >= 0 and high <= 1 else (low, high)
        scale = 255 / (white - black or 1)
        grey = image.convert("F").point(lambda value: value * scale + (0.5 - black * scale)).convert("L")
    grey.info.pop("transparency", None)  # a value of the deep scale, which means nothing now
    return grey


def _on_white(image: Image.Image) -> Image.Image:
    page = Image.new("RGB", image.size, "white")
    page.paste(image, mask=image)
    return page


def _verdict(error: Exception, kind: str) -> JobError:
    if isinstance(error, UnidentifiedImageError):
        return ImageUnreadable(why=f"its {kind} header is broken, or of a rare kind")
    text = " ".join(str(error).split())[:200]
    if any(words in text.lower() for words in _CUT_SHORT):
        return ImageTruncated(why=text)
    if any(words in text.lower() for words in _TOO_MUCH):
        return ImageTooLarge(why=text)
    return ImageUnreadable(why=f"its {kind} data is broken ({text or type(error).__name__})")
