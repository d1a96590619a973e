"""Cores as people write them: 0-7, or 0,2,4-5."""

from __future__ import annotations

import os
import re
from collections.abc import Collection

from pipeline.errors import UsageError

_RANGE = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?")


def parse(text: str, there: Collection[int] | None = None) -> tuple[int, ...]:
    """The cores that are meant, in order. Raises UsageError when this process may not run on one of them."""
    there = os.sched_getaffinity(0) if there is None else there
    found: set[int] = set()
    for part in text.replace(" ", "").split(","):
        span = _RANGE.fullmatch(part)
        if not span or int(span[2] or span[1]) < int(span[1]):
            raise UsageError(detail=f"--cores takes numbers and ranges such as 0-7 or 0,2,4-5, not {text!r}")
        found.update(range(int(span[1]), int(span[2] or span[1]) + 1))
    if missing := found - set(there):
        raise UsageError(detail=f"--cores {text}: there is no core {min(missing)} here. Cores: {spelled(there)}")
    return tuple(sorted(found))


def spelled(cores: Collection[int]) -> str:
    """0-3,6: as `parse` reads them."""
    spans: list[list[int]] = []
    for core in sorted(cores):
        if spans and spans[-1][-1] == core - 1:
            spans[-1][1:] = [core]
        else:
            spans.append([core])
    return ",".join("-".join(map(str, span)) for span in spans)
