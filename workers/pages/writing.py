"""Writing a page with pictures: they are opened for as long as it is written, and the file is whole or not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline.export.files import replacing
from pipeline.settings import Settings
from workers.opener import Opener


def write(file: Path, settings: Settings, render: Callable[[Opener], str]) -> None:
    with replacing(str(file)) as page, Opener.of(settings) as opener:
        page.write(render(opener))
