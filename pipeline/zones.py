"""Time zones by their names in the zone database: Europe/Berlin, UTC."""

from __future__ import annotations

import os
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from pipeline.errors import ZoneUnknown
from pipeline.settings import nearest

LOCALTIME = Path("/etc/localtime")


def find(name: str) -> ZoneInfo:
    """The zone of that name. Raises ZoneUnknown."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # KeyError: ZoneInfoNotFoundError; OSError: the name of a folder
        by_lower = {zone.lower(): zone for zone in available_timezones()}
        close = by_lower.get(name.lower())
        hint = f", did you mean {close!r}?" if close else nearest(name, list(by_lower.values()))
        raise ZoneUnknown(name=name, hint=hint or ".") from None


def local() -> str:
    """This machine's zone; UTC where it has no name."""
    candidates = (os.environ.get("TZ", "").lstrip(":"), str(LOCALTIME.resolve()).partition("zoneinfo/")[2])
    return next((name for name in candidates if name in available_timezones()), "UTC")
