"""pipeline.sources.named: what a name means, and what it must not reach."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ForbiddenPath, ForbiddenUrl, JobError, RowInvalid
from pipeline.locators import Picture, display, open_member, open_path
from pipeline.settings import Settings, read_settings
from pipeline.sources.named import is_elsewhere, picture
from tests.archives import tar


def of(**values: str) -> Settings:
    return read_settings(environ={f"PIXMILL_{name.upper()}": value for name, value in values.items()}, folder=Path("/"))


def found(
    name: str, base: Path | None = Path("/base"), settings: Settings | None = None
) -> tuple[str | None, str | None]:
    """The path and the member that a name leads to."""
    locator = picture(name, base, settings or of()).locator
    return open_path(locator, None), open_member(locator)


@pytest.mark.parametrize(
    ("name", "path", "member"),
    [
        ("cat.jpg", "/base/cat.jpg", None),
        ("sub/../cat.jpg", "/base/cat.jpg", None),
        ("/abs/cat.jpg", "/abs/cat.jpg", None),
        ("100%25.jpg", "/base/100%25.jpg", None),
        ("C:\\cat.jpg", "/base/C:\\cat.jpg", None),
        ("a#b.jpg", "/base/a#b.jpg", None),
        ("s.tar#0.jpg", "/base/s.tar", "0.jpg"),
        ("S.ZIP#a/b #2.jpg", "/base/S.ZIP", "a/b #2.jpg"),
        ("s.tar#./0.jpg", "/base/s.tar", "0.jpg"),
        ("s.tar#inner.zip#x.jpg", "/base/s.tar", "inner.zip#x.jpg"),
        ("s.tar#100%25.jpg", "/base/s.tar", "100%25.jpg"),
        ("file:///data/cat%201.jpg", "/data/cat 1.jpg", None),
        ("file:/data/cat.jpg", "/data/cat.jpg", None),
        ("FILE://LocalHost/data/cat.jpg", "/data/cat.jpg", None),
        ("file:////data/cat.jpg", "/data/cat.jpg", None),
        ("file:///s.tar#a%20b%23.jpg", "/s.tar", "a b#.jpg"),
        ("file:///a%23b.jpg", "/a#b.jpg", None),
        ("file:///%2e%2e/%2e%2e/etc/x", "/etc/x", None),
    ],
)
def test_what_a_name_means(name: str, path: str, member: str | None) -> None:
    assert found(name) == (path, member)


@pytest.mark.parametrize(
    "name",
    ["", "  ", "a\0b.jpg", "file:///a%00b", "\ud800.jpg", "x" * 20_000, "file:cat.jpg", "file:///a?b",
     "data:image/png;base64,AA", "file:///a\nb", "file://[::1/a"],
)  # fmt: skip
def test_what_means_nothing(name: str) -> None:
    with pytest.raises(RowInvalid):
        picture(name, Path("/base"), of())


@pytest.mark.parametrize(
    "name", ["s.tar#/etc/passwd", "s.zip#../x.jpg", "s.tar#a/../../x.jpg", "file:///s.tar#%2e%2e/x"]
)
def test_members_that_lead_out_of_their_archive(name: str) -> None:
    with pytest.raises(ForbiddenPath, match="leads out of the archive"):
        picture(name, Path("/base"), of())


def test_other_machines(tmp_path: Path) -> None:
    for name in (
        "file://server/share/a.jpg",
        "https://example.org/a.jpg",
        "ftp://example.org/a.jpg",
        "s3://bucket/a.jpg",
    ):
        with pytest.raises(ForbiddenUrl):
            picture(name, tmp_path, of())


def test_addresses_that_are_allowed() -> None:
    allowed = of(allowed_domains="example.org,s3://pictures")
    assert picture("https://example.org/a%20b.jpg?size=2", None, allowed) == Picture(
        "https://example.org/a%20b.jpg?size=2"
    )
    assert picture("HTTPS://example.org/a.jpg", None, allowed) == Picture("https://example.org/a.jpg")
    assert picture("s3://pictures/a.jpg", None, allowed) == Picture("s3://pictures/a.jpg")


def test_a_file_of_that_whole_name_comes_first(tmp_path: Path) -> None:
    (tmp_path / "s.tar#0.jpg").write_bytes(b"x")
    assert found("s.tar#0.jpg", tmp_path) == (str(tmp_path / "s.tar#0.jpg"), None)


def test_size_and_time_are_the_archives(tmp_path: Path) -> None:
    path = tar(tmp_path / "s.tar", {"a.jpg": b"x"})
    os.utime(path, ns=(3, 4))
    one = picture("s.tar#a.jpg", tmp_path, of(media_root=str(tmp_path)))
    assert one == Picture("media:s.tar#a.jpg", path.stat().st_size, 4)
    assert display(one.locator) == "s.tar#a.jpg"


def test_names_start_from_the_current_folder_without_a_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert found("a.jpg", None) == (str(tmp_path / "a.jpg"), None)


class TestRoots:
    @pytest.fixture
    def inside(self, tmp_path: Path) -> Path:
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "a.jpg").write_bytes(b"x")
        (tmp_path / "inside.jpg").write_bytes(b"x")
        tar(tmp_path / "out.tar", {"a.jpg": b"x"})
        (tmp_path / "in" / "link.jpg").symlink_to(tmp_path / "inside.jpg")
        (tmp_path / "in" / "link.tar").symlink_to(tmp_path / "out.tar")
        (tmp_path / "in" / "linked").symlink_to(tmp_path)
        return tmp_path / "in"

    @pytest.mark.parametrize("name", ["a.jpg", "gone.jpg", "b/../a.jpg", "x.tar#a.jpg"])
    def test_below_one_of_them(self, inside: Path, name: str) -> None:
        picture(name, inside, of(allowed_roots=f"/nowhere:{inside}"))

    @pytest.mark.parametrize(
        "name",
        ["../inside.jpg", "link.jpg", "linked/inside.jpg", "/etc/passwd", "file:///etc/passwd", "link.tar#a.jpg",
         "../out.tar#a.jpg", "file://{inside}/%2e%2e/inside.jpg", "../in", "linked/in/../inside.jpg"],
    )  # fmt: skip
    def test_outside(self, inside: Path, name: str) -> None:
        with pytest.raises(ForbiddenPath):
            picture(name.format(inside=inside), inside, of(allowed_roots=str(inside)))

    def test_roots_that_are_links_themselves(self, inside: Path) -> None:
        root = inside.parent / "way"
        root.symlink_to(inside)
        picture("a.jpg", inside, of(allowed_roots=str(root)))


@given(st.text(max_size=40))
def test_any_text_is_a_picture_or_a_row_that_failed(name: str) -> None:
    settings = of(allowed_roots="/srv/pictures")
    try:
        path = open_path(picture(name, Path("/srv/pictures/a"), settings).locator, None)
    except JobError:
        return
    assert path is not None and os.path.realpath(path).startswith("/srv/pictures/")


@given(st.binary(min_size=1, max_size=30).map(lambda name: name.replace(b"\0", b"x").lstrip(b"/") or b"x"))
def test_any_file_name_as_an_address(name: bytes) -> None:
    path = b"/" + name
    expected = os.path.realpath(path) if b".." in path.split(b"/") else os.path.abspath(path)
    assert os.fsencode(found("file://" + quote(path))[0] or "") == expected


@pytest.mark.parametrize(
    ("name", "elsewhere"),
    [("a.jpg", False), ("http.jpg", False), ("a:b", False), ("file.jpg", False), ("s.tar", False), ("a.jpg#x", False),
     ("https://x.org/a.jpg", True), ("s.tar#x", True), ("file:/a", True)],
)  # fmt: skip
def test_paths_and_all_else(name: str, elsewhere: bool) -> None:
    assert is_elsewhere(name) is elsewhere
