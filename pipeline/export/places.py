"""Places: where a picture's file is on this host, and which place in a folder mirrors it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.export.order import Order
from pipeline.locators import BLOB, INSIDE, MEDIA, open_member, open_path
from pipeline.store.rows import PictureRow

OUTSIDE = "_root"
"""above what lies outside of the image root, with its whole path"""
_LONGEST = 200
"""bytes of a name, so that an ending has room below the 255 of most file systems"""


@dataclass(frozen=True)
class Places:
    """What an order says about places, worked out once."""

    root: str
    media_root: Path | None
    blobs: Path | None
    allowed: tuple[str, ...] | None

    @classmethod
    def of(cls, order: Order) -> Places:
        roots = order.allowed_roots
        return cls(
            root=_folder(os.path.abspath(order.root)),
            media_root=order.media_root,
            blobs=order.blobs,
            allowed=None if roots is None else tuple(_folder(os.path.realpath(root)) for root in roots),
        )

    def file(self, picture: PictureRow) -> str | None:
        """The path of a picture that is a file of its own, and lies where it may."""
        path = self._path(picture)
        return path if path is None or self._allowed(os.path.realpath(path)) else None

    def beside(self, picture: PictureRow) -> str | None:
        """The path of a picture that something may be written next to."""
        path = None if picture.locator.startswith(BLOB) else self._path(picture)
        return path if path is None or self._allowed(_folder(os.path.realpath(os.path.dirname(path)))) else None

    def mirrored(self, picture: PictureRow) -> str:
        """The picture's place in a folder that mirrors all of them: a relative path that never leads out."""
        if picture.locator.startswith(BLOB):
            ending = f".{picture.format.lower()}" if picture.format else ""
            return f"_blob/{picture.locator.removeprefix(BLOB)}{ending}"
        member = open_member(picture.locator)
        above = self._outer(picture.locator if member is None else picture.locator.partition(INSIDE)[0])
        return "/".join(
            _safe(part) for part in [*above.split("/"), *(member or "").split("/")] if part not in ("", ".")
        )

    def _outer(self, locator: str) -> str:
        path = open_path(locator, self.media_root)
        if path is None:
            scheme, _, rest = locator.partition(":")
            return f"_media/{rest}" if locator.startswith(MEDIA) else f"_{scheme}/{rest}"
        return path.removeprefix(self.root) if path.startswith(self.root) else OUTSIDE + path

    def _path(self, picture: PictureRow) -> str | None:
        if open_member(picture.locator) is not None:
            return None
        return open_path(picture.locator, self.media_root, self.blobs)

    def _allowed(self, path: str) -> bool:
        return self.allowed is None or path.startswith(self.allowed)


def _folder(path: str) -> str:
    return os.path.join(path, "")


def _safe(part: str) -> str:
    if part == os.pardir:
        return "%2E%2E"
    name = os.fsencode(part)
    if len(name) <= _LONGEST:
        return part
    ending = os.path.splitext(name)[1][:16]
    digest = hashlib.blake2b(name, digest_size=8).hexdigest().encode()
    return os.fsdecode(name[: _LONGEST - len(ending) - 17] + b"-" + digest + ending)
