"""An opener made from settings: it finds pictures wherever jobs may have them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import blobs
from pipeline.locators import Picture
from pipeline.settings import read_settings
from tests.house import colour, draw
from workers.child import Refused
from workers.opener import Opener


def test_files_below_the_media_root_and_pictures_that_came_inside_of_a_row(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    settings = replace(read_settings(), media_root=tmp_path / "shared")
    file = draw(tmp_path / "shared" / "a.bmp", 5)
    kept = blobs.keep(draw(tmp_path / "b.bmp", 6).read_bytes(), blobs.folder(settings))
    with Opener.of(settings) as opener:
        assert opener.open(Picture.at(file, settings.media_root).locator).getpixel((0, 0)) == colour(5)
        assert opener.open(kept.locator).getpixel((0, 0)) == colour(6)


def test_the_limits_of_the_settings(tmp_path: Path) -> None:
    file = draw(tmp_path / "a.bmp", 5, (4, 3))
    with Opener.of(replace(read_settings(), max_picture_bytes=10)) as opener, pytest.raises(Refused) as refused:
        opener.open(Picture.at(file, None).locator)
    assert refused.value.code == "image_too_large"
