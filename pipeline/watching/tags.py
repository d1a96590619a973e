"""Tags: the names of the subfolders that a picture lies in."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.locators import open_path
from pipeline.watching.rules import Rules


def tag_columns(rules: Rules, media_root: Path | None) -> Callable[[str], dict[str, Any] | None]:
    """With --tags, the names of a picture's subfolders become a column."""

    def tags(locator: str) -> dict[str, Any] | None:
        path = open_path(locator, media_root)
        root = rules.root(path) if path and rules.plan.tags else None
        if path is None or root is None:
            return None
        return {"tags": [part for part in os.path.relpath(os.path.dirname(path), root).split(os.sep) if part != "."]}

    return tags
