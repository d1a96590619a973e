from __future__ import annotations

import base64
import os
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import blobs
from pipeline.errors import BlobsUnwritable, ImageTooLarge, ImageTruncated, ImageUnreadable
from pipeline.locators import open_path
from pipeline.settings import read_settings


def url(data: bytes, head: str = "data:image/png;base64") -> str:
    return f"{head},{base64.b64encode(data).decode()}"


@pytest.mark.parametrize("head", ["data:image/png;base64", "data:;base64", "DATA:image/x;charset=a;BASE64"])
def test_what_an_address_holds(head: str) -> None:
    assert blobs.of_data_url(url(b"picture", head), 100) == b"picture"


@pytest.mark.parametrize(
    "broken",
    [
        "data:image/png,abc",
        "data:image/png;base64",
        "data:;base64,@@@@",
        "data:;base64,QUJ",
        "data:;base64,QUJD RA==",
        "data:;base64,é",
        "data:;base64,QQ==QQ==",
    ],
)
def test_what_is_no_base64(broken: str) -> None:
    with pytest.raises(ImageUnreadable):
        blobs.of_data_url(broken, 100)


def test_nothing_is_too_short_and_more_than_allowed_too_large() -> None:
    with pytest.raises(ImageTruncated, match="0 bytes"):
        blobs.of_data_url("data:;base64,", 100)
    assert blobs.of_data_url(url(b"x" * 100), 100) == b"x" * 100
    for size in (101, 102, 103, 1000):
        with pytest.raises(ImageTooLarge):
            blobs.of_data_url(url(b"x" * size), 100)


def test_equal_pictures_are_one_file_under_their_digest(tmp_path: Path) -> None:
    first, again = blobs.keep(b"one", tmp_path), blobs.keep(b"one", tmp_path)
    other = blobs.keep(b"two", tmp_path)
    assert first == again != other
    (path,) = {open_path(picture.locator, None, tmp_path) for picture in (first, again)}
    assert path is not None and Path(path).read_bytes() == b"one"
    digest = first.locator.removeprefix("blob:")
    assert Path(path).relative_to(tmp_path) == Path(digest[:2], digest[2:4], digest)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 2


def test_a_file_that_a_power_cut_left_short_is_written_again(tmp_path: Path) -> None:
    picture = blobs.keep(b"one", tmp_path)
    path = Path(str(open_path(picture.locator, None, tmp_path)))
    path.write_bytes(b"")
    blobs.keep(b"one", tmp_path)
    assert path.read_bytes() == b"one"


def test_a_blob_is_no_file_where_nobody_says_where_they_lie() -> None:
    assert open_path("blob:" + "a" * 64, Path("/srv")) is None


def test_they_lie_below_the_media_root_else_in_the_home(tmp_path: Path) -> None:
    settings = replace(read_settings(), home=tmp_path / "home", media_root=None)
    assert blobs.folder(settings) == tmp_path / "home" / "blobs"
    assert blobs.folder(replace(settings, media_root=Path("/srv"))) == Path("/srv/.pixmill/blobs")


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BlobsUnwritable, match="PIXMILL_MEDIA_ROOT"):
        blobs.keep(b"one", tmp_path / "file")
    assert os.listdir(tmp_path) == ["file"]
