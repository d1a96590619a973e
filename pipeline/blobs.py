"""Blobs: pictures that came inside of a row, kept as files under the digest of what they hold.

Below PIXMILL_MEDIA_ROOT, where workers on other hosts find them too, else in the home. Equal pictures are one file.
"""

from __future__ import annotations

import base64
import binascii
import os
from hashlib import sha256
from pathlib import Path

from pipeline.errors import BlobsUnwritable, ImageTooLarge, ImageTruncated, ImageUnreadable
from pipeline.locators import BLOB, Picture, blob_path
from pipeline.settings import Settings


def folder(settings: Settings) -> Path:
    """Where they lie."""
    if settings.media_root is not None:
        return settings.media_root / ".pixmill" / "blobs"
    return settings.home / "blobs"


def of_data_url(url: str, max_bytes: int) -> bytes:
    """What a `data:` address holds. Raises ImageUnreadable, ImageTruncated or ImageTooLarge.

    The type it gives is not believed: what the bytes are is seen when they are decoded.
    """
    head, comma, encoded = url.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise ImageUnreadable(why="a data: address needs base64, as in data:image/png;base64,iVBORw0KG...")
    if len(encoded) > _encoded_size(max_bytes):
        raise ImageTooLarge(why=f"more than {max_bytes:,} bytes")
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageUnreadable(why=f"its base64 is broken ({str(error).lower()})") from None
    if not data:
        raise ImageTruncated(why="0 bytes")
    if len(data) > max_bytes:
        raise ImageTooLarge(why=f"{len(data):,} bytes, the limit is {max_bytes:,}")
    return data


def keep(data: bytes, blobs: Path) -> Picture:
    """Store the bytes, unless they are there already. Raises BlobsUnwritable."""
    digest = sha256(data).hexdigest()
    place = blob_path(blobs, digest)
    try:
        if _size(place) == len(data):
            os.utime(place)  # in use: `pixmill prune` takes old ones that no job names yet for left behind
        else:
            _write(place, data)
    except OSError as error:
        raise BlobsUnwritable(path=blobs, why=(error.strerror or str(error)).lower()) from error
    # Neither size nor time: the digest says all, and a blob that is written again is still the same picture.
    return Picture(BLOB + digest)


def _encoded_size(count: int) -> int:
    return (count + 2) // 3 * 4


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _write(place: Path, data: bytes) -> None:
    """In one go. Not synced: after a power cut a file that is too short is written again by the next run."""
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)
