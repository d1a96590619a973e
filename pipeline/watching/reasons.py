"""Reasons: the file beside a picture that says why it has no answer."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from pipeline.display import to_json
from pipeline.export.files import renamed
from pipeline.locators import printable
from pipeline.store.rows import ItemRow
from pipeline.watching.bringing import shortened

WHY = ".error.json"
"""ends its name"""


def write_why(place: str, path: str, items: Sequence[ItemRow]) -> None:
    failed = [item for item in items if item.error_code is not None]
    document = {
        "written_by": "pixmill",
        "file": printable(path),
        "code": failed[0].error_code if failed else "cancelled",
        "why": failed[0].error if failed else "The batch was cancelled.",
        "questions": [{"question": one.question, "code": one.error_code, "why": one.error} for one in failed],
    }
    with renamed(_file(place)) as file:
        file.write(f"{to_json(document, ascii_only=True, indent=2)}\n".encode())


def forget_why(path: str) -> None:
    """What said why an earlier try failed is no longer true."""
    place = _file(path)
    try:
        document = json.loads(place.read_bytes())
    except (FileNotFoundError, ValueError):
        return
    if isinstance(document, dict) and document.get("written_by") == "pixmill":
        place.unlink()


def _file(path: str) -> Path:
    folder, name = os.path.split(path)
    return Path(folder, shortened(name, WHY))
