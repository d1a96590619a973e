"""OpenVINO's exceptions, cut down to what a person can use."""

from __future__ import annotations

import re

FAULTS = (RuntimeError, ValueError, IndexError, MemoryError)
"""the classes that C++ exceptions arrive as"""

_PLACE = re.compile(r" at \S+:\d+:?$")


def complaint(error: BaseException) -> str:
    """The last line of a message, without the place in OpenVINO's own source that the lines above it name."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return _PLACE.sub("", lines[-1]).rstrip(".") if lines else type(error).__name__
