from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.errors import ForbiddenPath, ImageMissing, ImageTooLarge, ImageUnreadable
from pipeline.files import Contents
from workers.reading import read


def contents(path: Path, *, max_bytes: int = 1000, roots: list[Path] | None = None) -> Contents:
    encoded = None if roots is None else [os.fsencode(root) for root in roots]
    return read(os.fsencode(path), max_bytes=max_bytes, roots=encoded)


def test_bytes_size_and_mtime(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    os.utime(path, ns=(1, 2))
    assert contents(path) == Contents(b"12345", 5, 2)


def test_the_limit_itself_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(1000))
    assert len(contents(path).data) == 1000
    path.write_bytes(bytes(1001))
    with pytest.raises(ImageTooLarge, match="1,001 bytes, the limit is 1,000"):
        contents(path)


def test_a_hole_of_a_terabyte_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.touch()
    os.truncate(path, 1 << 40)
    with pytest.raises(ImageTooLarge):
        contents(path)


def test_a_file_that_holds_more_than_its_size_says() -> None:
    path = Path("/proc/self/maps")  # its size is 0, like that of a file which grew after it was looked at
    assert path.stat().st_size == 0
    found = contents(path, max_bytes=1 << 20)
    assert len(found.data) > 4096, "more than one read gives"
    with pytest.raises(ImageTooLarge, match="more than 1,000 bytes"):
        contents(path)


@pytest.mark.parametrize("name", ["nothing", "file/below", "nul\0byte"])
def test_missing(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ImageMissing):
        contents(tmp_path / name)


def test_links_lead_to_files_or_nowhere(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    for name, target in (("good", "file"), ("broken", "nowhere"), ("loop", "loop")):
        (tmp_path / name).symlink_to(target)
    assert contents(tmp_path / "good").data == b"x"
    with pytest.raises(ImageMissing):
        contents(tmp_path / "broken")
    with pytest.raises(ImageUnreadable, match="symbolic links"):
        contents(tmp_path / "loop")


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ImageUnreadable, match="it is a directory"):
        contents(tmp_path)
    for path in (tmp_path / "fifo", Path("/dev/zero")):
        with pytest.raises(ImageUnreadable, match="not a regular file"):
            contents(path)


def test_a_fifo_is_not_even_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(tmp_path / "fifo", os.O_WRONLY)
    os.write(writer, b"meant for another")
    with pytest.raises(ImageUnreadable):
        contents(tmp_path / "fifo")
    assert os.read(reader, 100) == b"meant for another"
    os.close(reader)
    os.close(writer)


class TestRoots:
    def test_below_one_of_them(self, tmp_path: Path) -> None:
        inside = tmp_path / "in" / "a"
        inside.parent.mkdir()
        inside.write_bytes(b"x")
        assert contents(inside, roots=[tmp_path / "other", tmp_path / "in"]).data == b"x"

    def test_a_name_that_only_begins_alike_is_outside(self, tmp_path: Path) -> None:
        outside = tmp_path / "inside.jpg"
        outside.write_bytes(b"x")
        with pytest.raises(ForbiddenPath):
            contents(outside, roots=[tmp_path / "in"])

    def test_links_and_dots_do_not_lead_out(self, tmp_path: Path) -> None:
        (tmp_path / "in").mkdir()
        (tmp_path / "secret").write_bytes(b"x")
        (tmp_path / "in" / "link").symlink_to(tmp_path / "secret")
        for name in ("link", "../secret"):
            with pytest.raises(ForbiddenPath):
                contents(tmp_path / "in" / name, roots=[tmp_path / "in"])

    def test_nothing_is_told_about_files_outside(self, tmp_path: Path) -> None:
        with pytest.raises(ForbiddenPath):
            contents(tmp_path / "is this there?", roots=[tmp_path / "in"])

    def test_the_whole_disk(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"x")
        assert contents(tmp_path / "a", roots=[Path("/")]).data == b"x"
