from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.locators import Picture, display, locate, open_member, open_path, printable

names = st.binary(min_size=1).map(lambda name: name.replace(b"\0", b"x")).map(os.fsdecode)
roots = st.sampled_from([None, Path("/"), Path("/media"), Path("/media/"), Path("/an other/\udcff")])


@given(names, roots)
def test_every_path_comes_back(name: str, root: Path | None) -> None:
    below = os.path.join(root or "/anywhere", name.lstrip("/"))
    locator = locate(below, root)
    assert locator.isascii() and locator.isprintable()
    found = open_path(locator, root)
    assert found is not None
    expected = os.path.realpath(below) if ".." in below.split("/") else os.path.abspath(below)
    assert os.fsencode(found) == os.fsencode(expected)


@given(names, names, roots)
def test_every_member_comes_back(name: str, member: str, root: Path | None) -> None:
    below = os.path.join("/anywhere", name.replace("/", "|"))
    locator = locate(below, root, member)
    assert locator.isascii() and locator.isprintable()
    assert os.fsencode(open_member(locator) or "") == os.fsencode(member)
    assert open_path(locator, root) == open_path(locate(below, root), root)
    assert display(locator).isprintable()


def test_what_is_no_member() -> None:
    assert open_member(locate("/a#b.jpg", None)) is None
    assert open_member("https://example.org/a.jpg#part") is None
    assert display(locate("/s.tar", None, "bär #1.jpg")) == "/s.tar#bär #1.jpg"
    assert locate("/media/s.tar", Path("/media"), "a#b%.jpg") == "media:s.tar#a%23b%25.jpg"


@given(names, roots)
def test_a_person_sees_one_line(name: str, root: Path | None) -> None:
    assert display(locate("/a/" + name, root)).isprintable()
    assert printable(name).isprintable()


def test_what_a_person_sees() -> None:
    assert display(locate("/photos/bär 100%.jpg", None)) == "/photos/bär 100%.jpg"
    assert display(locate("/photos/two\nlines.jpg", None)) == "/photos/two\\nlines.jpg"
    assert display(locate(os.fsdecode(b"/photos/\xff.jpg"), None)) == "/photos/\ufffd.jpg"
    assert display(locate("/photos/\u202egpj.exe", None)) == "/photos/\\u202egpj.exe"
    assert display("https://example.org/a%20b.jpg") == "https://example.org/a%20b.jpg"


def test_below_the_media_root_and_elsewhere() -> None:
    root = Path("/mnt/media")
    assert locate("/mnt/media/2024/a b.jpg", root) == "media:2024/a%20b.jpg"
    assert locate("/mnt/media2/a.jpg", root) == "file:///mnt/media2/a.jpg"
    assert locate("/mnt/media/a.jpg", None) == "file:///mnt/media/a.jpg"


def test_each_host_has_its_own_media_root() -> None:
    locator = locate("/mnt/media/a.jpg", Path("/mnt/media"))
    assert open_path(locator, Path("/srv/pictures")) == "/srv/pictures/a.jpg"
    assert open_path(locator, None) is None
    assert open_path("media:/etc/passwd", Path("/srv")) == "/srv//etc/passwd", "it stays below the root"


def test_what_is_no_file_here() -> None:
    assert open_path("https://example.org/a.jpg", Path("/srv")) is None


def test_marks_of_other_locators_are_encoded() -> None:
    assert locate("/a#b?c%d", None) == "file:///a%23b%3Fc%25d"


def test_relative_paths_start_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate("./a//b.jpg", tmp_path) == "media:a/b.jpg"


def test_dots_behind_a_link_lead_where_the_system_says(tmp_path: Path) -> None:
    far = tmp_path / "far" / "away"
    far.mkdir(parents=True)
    (tmp_path / "far" / "a.jpg").write_bytes(b"right")
    (tmp_path / "a.jpg").write_bytes(b"wrong")
    (tmp_path / "link").symlink_to(far)
    picture = Picture.at(tmp_path / "link" / ".." / "a.jpg", None)
    path = open_path(picture.locator, None)
    assert path is not None and Path(path).read_bytes() == b"right"


def test_a_picture_with_its_size_and_time(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"123")
    os.utime(path, ns=(1, 2))
    assert Picture.at(path, tmp_path) == Picture("media:a.jpg", 3, 2)


@pytest.mark.parametrize("name", ["nothing.jpg", "nul\0byte.jpg"])
def test_a_picture_that_is_not_there(tmp_path: Path, name: str) -> None:
    picture = Picture.at(tmp_path / name, tmp_path)
    assert (picture.size, picture.mtime_ns) == (None, None)
    assert open_path(picture.locator, tmp_path) == str(tmp_path / name)
