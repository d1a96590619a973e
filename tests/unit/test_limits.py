from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

from pipeline import blobs
from pipeline.settings import read_settings
from workers.limits import DecodeLimits


def of(tmp_path: Path, **settings: object) -> DecodeLimits:
    return DecodeLimits.of(read_settings({"home": str(tmp_path), **settings}, environ={}, folder=tmp_path))


def test_the_settings_say_what_a_picture_may_cost(tmp_path: Path) -> None:
    limits = of(tmp_path, max_picture_bytes="5M", max_picture_pixels="7M", picture_seconds="1.5")
    assert (limits.max_bytes, limits.max_pixels, limits.seconds) == (5_000_000, 7_000_000, 1.5)
    assert limits.real_roots() is None


def test_more_pixels_take_more_memory(tmp_path: Path) -> None:
    small, large = of(tmp_path, max_picture_pixels="1M"), of(tmp_path, max_picture_pixels="2M")
    assert large.memory - small.memory >= 3_000_000


def test_allowed_folders_are_followed_to_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "door").symlink_to("real")
    roots = of(tmp_path, allowed_roots=str(tmp_path / "door")).real_roots()
    assert roots is not None and roots[0] == os.fsencode((tmp_path / "real").resolve())


def test_pictures_that_pixmill_itself_put_somewhere_may_be_read(tmp_path: Path) -> None:
    settings = read_settings(
        {"home": str(tmp_path), "allowed_roots": str(tmp_path / "in")}, environ={}, folder=tmp_path
    )
    roots = DecodeLimits.of(settings).allowed_roots
    assert roots is not None and {str(blobs.folder(settings)), str(settings.fetched)} < set(roots)


def test_they_travel_as_they_are(tmp_path: Path) -> None:
    limits = of(tmp_path)
    assert DecodeLimits(**asdict(limits)) == limits
