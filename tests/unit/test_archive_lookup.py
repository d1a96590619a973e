"""pipeline.archives.lookup: members are found where they lie, once their archive has been looked through."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.archives import lookup
from pipeline.archives.lookup import Archives
from pipeline.archives.tars import Tar
from pipeline.errors import ForbiddenPath, ImageMissing, ImageTooLarge, ImageTruncated, ImageUnreadable
from pipeline.files import Contents
from tests.archives import Files, add, tar, zipped

FILES = {f"{number}.jpg": b"%d" % number * 10 for number in range(20)}


@pytest.fixture
def headers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The places of the headers that were read."""
    read: list[int] = []
    entry = Tar.entry

    def counted(self: Tar, fd: int, place: int) -> object:
        read.append(place)
        return entry(self, fd, place)

    monkeypatch.setattr(Tar, "entry", counted)
    return read


def get(
    archives: Archives, path: Path, name: str, *, max_bytes: int = 1000, roots: list[Path] | None = None
) -> Contents:
    encoded = None if roots is None else [os.fsencode(root) for root in roots]
    return archives.read(os.fsencode(path), os.fsencode(name), max_bytes=max_bytes, roots=encoded)


@pytest.mark.parametrize("write", [tar, zipped])
def test_in_any_order(tmp_path: Path, write: Callable[[Path, Files], Path]) -> None:
    path = write(tmp_path / "archive", FILES)
    facts = path.stat()
    archives = Archives()
    for name in reversed(FILES):
        assert get(archives, path, name) == Contents(FILES[name], facts.st_size, facts.st_mtime_ns)


def test_headers_are_read_once_and_no_further_than_needed(tmp_path: Path, headers: list[int]) -> None:
    path = tar(tmp_path / "a.tar", FILES)
    archives = Archives()
    get(archives, path, "4.jpg")
    assert len(headers) == 5 + 1, "five on the way, and the member's own"
    get(archives, path, "2.jpg")
    assert len(headers) == 7
    get(archives, path, "5.jpg")
    assert len(headers) == 9


def test_time_that_is_up_on_the_way_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tar(tmp_path / "a.tar", FILES)
    archives = Archives()
    entry = Tar.entry
    left = [5]

    def interrupted(self: Tar, fd: int, place: int) -> object:
        if not left[0]:
            left[0] = -1
            raise TimeoutError
        left[0] -= 1
        return entry(self, fd, place)

    monkeypatch.setattr(Tar, "entry", interrupted)
    with pytest.raises(ImageUnreadable):
        get(archives, path, "19.jpg")
    assert get(archives, path, "19.jpg").data == FILES["19.jpg"]
    assert left == [-1 - 16], "the other fifteen, and the member's own"


def test_what_is_not_there(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", FILES)
    with pytest.raises(ImageMissing, match="no such member in the archive"):
        get(Archives(), path, "99.jpg")
    with pytest.raises(ImageMissing, match="no such file"):
        get(Archives(), tmp_path / "gone.tar", "0.jpg")


def test_the_first_of_one_name(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        add(archive, "a.jpg", b"first")
        add(archive, "./a.jpg", b"second")
        add(archive, "z.jpg", b"last")
    archives = Archives()
    get(archives, tmp_path / "a.tar", "z.jpg")
    assert get(archives, tmp_path / "a.tar", "a.jpg").data == b"first"


def test_an_archive_that_was_replaced_is_looked_through_anew(tmp_path: Path) -> None:
    archives = Archives()
    path = tar(tmp_path / "a.tar", {"a.jpg": b"old", "b.jpg": b"old"})
    assert get(archives, path, "b.jpg").data == b"old"
    tar(path, {"c.jpg": b"new" * 1000, "b.jpg": b"new"})
    assert get(archives, path, "b.jpg").data == b"new"
    with pytest.raises(ImageMissing):
        get(archives, path, "a.jpg")


def test_few_are_remembered(tmp_path: Path, headers: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tar(tmp_path / f"{number}.tar", FILES) for number in range(lookup.REMEMBERED + 1)]
    archives = Archives()
    for path in paths:
        get(archives, path, "19.jpg")
    headers.clear()
    get(archives, paths[-1], "0.jpg")
    assert len(headers) == 1
    get(archives, paths[0], "0.jpg")
    assert len(headers) == 3, "it was forgotten"
    monkeypatch.setattr(lookup, "MOST_PLACES", 30)
    get(archives, paths[1], "19.jpg")
    get(archives, paths[-1], "0.jpg")
    headers.clear()
    get(archives, paths[1], "0.jpg")
    assert len(headers) == 2, "forgotten as well: together they had too many members"


def test_a_damaged_archive_gives_what_comes_before(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", {name: data * 100 for name, data in FILES.items()})
    os.truncate(path, 10_000)
    archives = Archives()
    assert get(archives, path, "3.jpg", max_bytes=5000).data == FILES["3.jpg"] * 100
    for _ in range(2):
        with pytest.raises(ImageTruncated, match="its archive is cut off after byte 10,000"):
            get(archives, path, "19.jpg", max_bytes=5000)
    (tmp_path / "no.zip").write_bytes(b"PK, but no zip")
    with pytest.raises(ImageUnreadable, match="is neither a zip nor a tar file"):
        get(Archives(), tmp_path / "no.zip", "a.jpg")


def test_limits(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", FILES)
    with pytest.raises(ImageTooLarge, match="20 bytes, the limit is 5"):
        get(Archives(), path, "10.jpg", max_bytes=5)
    with pytest.raises(ForbiddenPath):
        get(Archives(), path, "10.jpg", roots=[tmp_path / "elsewhere"])
    with pytest.raises(ImageUnreadable, match="it is a directory"):
        get(Archives(), tmp_path, "a.jpg")
