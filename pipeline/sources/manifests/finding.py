"""Finding: plain names become pictures quickly, for a manifest has a million of them; all others as they always do."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from pipeline.locators import Picture, locate
from pipeline.settings import Settings
from pipeline.sources.named import picture

# Nothing to resolve in such a name, to percent-encode or to refuse: no part of it begins with a point.
_PLAIN = re.compile(r"[A-Za-z0-9_~][A-Za-z0-9_~,=@+.-]*(?:/[A-Za-z0-9_~][A-Za-z0-9_~,=@+.-]*)*")
_LONG = 1000


def finder(base: Path, settings: Settings) -> Callable[[str], Picture]:
    """What `named.picture` says of names that start from there; of plain ones in a third of its time."""

    def as_always(name: str) -> Picture:
        return picture(name, base, settings)

    # Links must be followed to see where they lead, and some names below the base may lie below the media root.
    if settings.allowed_roots is not None or _is_above(base, settings.media_root):
        return as_always
    folder = os.path.join(base, "")
    above = locate(folder + "_", settings.media_root)[:-1]

    def find(name: str) -> Picture:
        if len(name) > _LONG or _PLAIN.fullmatch(name) is None:
            return as_always(name)
        try:
            found = os.stat(folder + name)
        except OSError:
            return Picture(above + name)
        return Picture(above + name, found.st_size, found.st_mtime_ns)

    return find


def _is_above(base: Path, media_root: Path | None) -> bool:
    if media_root is None:
        return False
    root, folder = os.path.realpath(media_root), os.path.realpath(base)
    return root != folder and os.path.commonpath((root, folder)) == folder
