"""Files that are two things at once: the picture is seen, the rest is nobody's business."""

from __future__ import annotations

import io
import zipfile
from pathlib import PurePath

from tests.hostile.formats import segment, with_segments
from tests.hostile.sound import SOUND
from tests.hostile.specimen import ANSWERED, UNSUPPORTED, Data, Specimens, holding


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("../../evil.py"), "raise SystemExit")
    return file.getvalue()


_PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
_PAGE = b"<html><script>alert(1)</script></html>"
_PHP = b"<?php system($_GET['x']); ?>"
_PROGRAM = b"\x7fELF\x02\x01\x01" + bytes(57)

_OTHERS: dict[str, bytes] = {
    "zip": _zip(),
    "pdf": _PDF,
    "html": _PAGE,
    "php": _PHP,
    "program": _PROGRAM,
    "zeros": bytes(10_000),
}


def polyglots() -> Specimens:
    for name, sound in SOUND.items():
        path = PurePath(name)
        for other, data in _OTHERS.items():
            if not name.startswith("ascii"):  # whose numbers go on behind the picture
                yield holding(
                    "polyglots", f"{path.stem} and {other}{path.suffix}", _joined(sound, data), ANSWERED, like=sound
                )
            if other != "zeros":
                yield holding("polyglots", f"{other} and {path.stem}{path.suffix}", _before(data, sound), UNSUPPORTED)
        second = SOUND["still.gif" if path.suffix == ".jpg" else "baseline.jpg"]
        if not name.startswith("ascii"):
            yield holding(
                "polyglots", f"{path.stem} and another{path.suffix}", _joined(sound, second()), ANSWERED, like=sound
            )
    jpeg = SOUND["baseline.jpg"]
    for other, data in _OTHERS.items():
        yield holding("polyglots", f"jpeg around {other}.jpg", _around(data), ANSWERED, like=jpeg)
    gif = b"GIF89a/*" + SOUND["still.gif"]()[8:] + b"*/=alert(1)"
    yield holding(
        "polyglots",
        "script and gif.gif",
        lambda: gif,
        ANSWERED,
        UNSUPPORTED,
        "image_too_large",
        "image_truncated",
        "image_unreadable",
    )


def _joined(sound: Data, data: bytes) -> Data:
    return lambda: sound() + data


def _before(data: bytes, sound: Data) -> Data:
    return lambda: data + sound()


def _around(data: bytes) -> Data:
    return lambda: with_segments(SOUND["baseline.jpg"](), [segment(0xFE, data)])
