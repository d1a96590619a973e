from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.locators import Picture, display
from pipeline.sources.paths import from_paths, is_picture, read_list
from tests.pictures import hostile


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: list[str]) -> Callable[..., list[str]]:
    """The names found, relative to the current folder."""
    monkeypatch.chdir(tmp_path)

    def find(*paths: str, **options: Any) -> list[str]:
        return [
            display(picture.locator) for picture in from_paths(paths, media_root=tmp_path, note=notes.append, **options)
        ]

    return find


Find = Callable[..., list[str]]


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


@pytest.mark.parametrize("name", ["a.jpg", "A.JPEG", "x.y.png", "a.webp", "a.heic", "a.tiff", "a.Gif"])
def test_names_of_pictures(name: str) -> None:
    assert is_picture(name)


@pytest.mark.parametrize("name", ["a.txt", "jpg", ".jpg", "a.jpg.xmp", "a", ""])
def test_other_names(name: str) -> None:
    assert not is_picture(name)


class TestFiles:
    def test_a_named_file_is_taken_whatever_its_name(self, find: Find, tmp_path: Path, notes: list[str]) -> None:
        make(tmp_path, "scan", ".hidden.jpg", "b.txt")
        assert find("b.txt", "scan", ".hidden.jpg") == ["b.txt", "scan", ".hidden.jpg"]
        assert notes == []

    def test_size_and_time_are_those_of_now(self, tmp_path: Path, notes: list[str]) -> None:
        make(tmp_path, "a.jpg")
        os.utime(tmp_path / "a.jpg", ns=(3, 4))
        assert list(from_paths([str(tmp_path / "a.jpg")], media_root=tmp_path, note=notes.append)) == [
            Picture("media:a.jpg", 1, 4)
        ]

    def test_one_that_is_not_there_is_left_to_its_job(self, find: Find, tmp_path: Path) -> None:
        make(tmp_path, "b.jpg")
        assert find("a.jpg", "b.jpg") == ["a.jpg", "b.jpg"]
        (missing, _) = from_paths(["a.jpg", "b.jpg"], note=print)
        assert missing.size is None

    def test_twice_named_is_twice_meant(self, find: Find, tmp_path: Path) -> None:
        make(tmp_path, "a.jpg")
        assert find("a.jpg", "./a.jpg") == ["a.jpg", "a.jpg"]

    def test_an_empty_name(self, find: Find, notes: list[str]) -> None:
        assert find("") == []
        assert notes == ["an empty name names no picture"]


class TestFolders:
    def test_by_name(self, find: Find, tmp_path: Path) -> None:
        make(tmp_path / "in", "b.jpg", "a.PNG", "notes.txt", "C.jpg", "10.jpg")
        assert find("in") == ["in/10.jpg", "in/C.jpg", "in/a.PNG", "in/b.jpg"]

    def test_subfolders_only_when_asked(self, find: Find, tmp_path: Path) -> None:
        make(tmp_path / "in", "b.jpg", "a/c.jpg", "a/d/e.jpg", "z/f.jpg")
        assert find("in") == ["in/b.jpg"]
        assert find("in", recursive=True) == ["in/b.jpg", "in/a/c.jpg", "in/a/d/e.jpg", "in/z/f.jpg"]

    def test_litter(self, find: Find, tmp_path: Path) -> None:
        litter = (".DS_Store", "._a.jpg", "Thumbs.db", "@eaDir/a.jpg/thumb.jpg", "__MACOSX/a.jpg", ".trash/a.jpg")
        make(tmp_path / "in", "a.jpg", *litter)
        assert find("in", recursive=True) == ["in/a.jpg"]

    def test_a_litter_folder_that_is_named_is_meant(self, find: Find, tmp_path: Path) -> None:
        make(tmp_path / ".hidden", "a.jpg")
        assert find(".hidden") == [".hidden/a.jpg"]

    def test_what_looks_like_a_picture_becomes_a_job(self, find: Find, tmp_path: Path) -> None:
        make(tmp_path / "in", "x.png/inside.jpg")
        (tmp_path / "in" / "broken.jpg").symlink_to("nowhere")
        (tmp_path / "in" / "loop.jpg").symlink_to("loop.jpg")
        os.mkfifo(tmp_path / "in" / "fifo.jpg")
        seen = ["in/broken.jpg", "in/fifo.jpg", "in/loop.jpg", "in/x.png"]
        assert find("in") == seen
        assert find("in", recursive=True) == [*seen, "in/x.png/inside.jpg"]

    def test_every_hostile_file(self, tmp_path: Path) -> None:
        expected = hostile(tmp_path)
        found = list(from_paths([str(tmp_path)], note=pytest.fail))
        assert len({picture.locator for picture in found}) == len(expected)

    def test_links_to_files_are_followed_links_to_folders_not(
        self, find: Find, tmp_path: Path, notes: list[str]
    ) -> None:
        make(tmp_path, "far/a.jpg", "in/deep/b.jpg")
        (tmp_path / "in" / "link.jpg").symlink_to(tmp_path / "far" / "a.jpg")
        (tmp_path / "in" / "far").symlink_to(tmp_path / "far")
        (tmp_path / "in" / "deep" / "round").symlink_to(tmp_path / "in")
        assert find("in", recursive=True) == ["in/link.jpg", "in/deep/b.jpg"]
        assert find("in/far") == ["in/far/a.jpg"], "a link that is named is meant"
        assert notes == []

    @pytest.fixture
    def depth(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            for _ in range(1200):
                os.mkdir("d")
                patch.chdir("d")
            Path("a.jpg").touch()
        yield 1200
        subprocess.run(["rm", "-r", tmp_path / "d"], check=True)  # too deep for the cleaning of temporary folders

    def test_a_tree_deeper_than_pythons_stack(self, find: Find, depth: int) -> None:
        assert find("d", recursive=True) == ["d/" * depth + "a.jpg"]
        assert find("**/a.jpg") == ["d/" * depth + "a.jpg"]

    def test_odd_names(self, tmp_path: Path) -> None:
        names = [b"two\nlines.jpg", b"\xff\xfe.jpg", "bär.jpg".encode()]
        for name in names:
            Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).touch()
        found = [picture.locator for picture in from_paths([str(tmp_path)], media_root=tmp_path, note=pytest.fail)]
        assert found == ["media:b%C3%A4r.jpg", "media:two%0Alines.jpg", "media:%FF%FE.jpg"]


class TestNotes:
    def test_no_pictures(self, find: Find, tmp_path: Path, notes: list[str]) -> None:
        make(tmp_path / "in", "a.txt", "b.txt", "c/d.jpg", "e/f.jpg")
        assert find("in") == []
        assert notes == ["in: no pictures (2 other files; -r looks into 2 subfolders)"]

    def test_nothing_below_either(self, find: Find, tmp_path: Path, notes: list[str]) -> None:
        make(tmp_path / "in", "c/d.txt")
        (tmp_path / "in" / "link").symlink_to("c")
        assert find("in", recursive=True) == []
        assert notes == ["in: no pictures (1 other file; 1 linked folder not entered)"]

    def test_empty(self, find: Find, tmp_path: Path, notes: list[str]) -> None:
        (tmp_path / "two\nlines").mkdir()
        assert find("two\nlines") == []
        assert notes == ["two\\nlines: no pictures (nothing is there)"]

    def test_all_left_out(self, find: Find, tmp_path: Path, notes: list[str]) -> None:
        make(tmp_path / "in", "a.jpg", "b.jpg")
        assert find("in", exclude=["*.jpg"]) == []
        assert notes == ["in: no pictures (2 pictures left out by --include or --exclude)"]

    def test_a_pattern_without_a_match(self, find: Find, tmp_path: Path, notes: list[str]) -> None:
        make(tmp_path, "a.txt")
        assert find("*.jpg", "*") == []
        assert notes == ["*.jpg: no pictures (nothing is there)", "*: no pictures (1 other file)"]

    def test_a_folder_that_cannot_be_read(
        self, find: Find, tmp_path: Path, notes: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make(tmp_path / "in", "a.jpg", "private/b.jpg")
        scandir = os.scandir

        def refuse(path: str) -> Iterator[os.DirEntry[str]]:
            if path.endswith("private"):
                raise PermissionError(13, "Permission denied")
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refuse)
        assert find("in", recursive=True) == ["in/a.jpg"]
        assert notes == ["in/private: cannot be read (permission denied)"]
        assert find("in/private") == []
        assert notes[1:] == [
            "in/private: cannot be read (permission denied)",
            "in/private: no pictures (1 folder cannot be read)",
        ]


class TestPatterns:
    @pytest.fixture(autouse=True)
    def tree(self, tmp_path: Path) -> None:
        make(tmp_path, "a.jpg", "b.png", "c.txt", "trip/d.jpg", "trip/deep/e.jpg", "trip/deep/f.txt", ".h/g.jpg")

    @pytest.mark.parametrize(
        ("pattern", "names"),
        [
            ("*.jpg", ["a.jpg"]),
            ("[ab].*", ["a.jpg", "b.png"]),
            ("?.png", ["b.png"]),
            ("./*.jpg", ["a.jpg"]),
            ("t*/*.jpg", ["trip/d.jpg"]),
            ("*/deep/*", ["trip/deep/e.jpg"]),
            ("**/*.jpg", ["a.jpg", "trip/d.jpg", "trip/deep/e.jpg"]),
            ("**", ["a.jpg", "b.png", "trip/d.jpg", "trip/deep/e.jpg"]),
            ("**/**/e.*", ["trip/deep/e.jpg"]),
            ("trip/**/deep/**/*.jpg", ["trip/deep/e.jpg"]),
            ("tr*", ["trip/d.jpg"]),
            (".h/*", [".h/g.jpg"]),
            ("trip/../*.jpg", ["a.jpg"]),
        ],
    )
    def test_expanded(self, find: Find, notes: list[str], pattern: str, names: list[str]) -> None:
        assert find(pattern) == names
        assert notes == []

    def test_absolute(self, find: Find, tmp_path: Path) -> None:
        assert find(f"{tmp_path}/*.jpg") == ["a.jpg"]

    def test_folders_it_matches_are_entered_deeply_when_asked(self, find: Find) -> None:
        assert find("tr*", recursive=True) == ["trip/d.jpg", "trip/deep/e.jpg"]

    def test_a_file_of_that_name_comes_first(self, find: Find, tmp_path: Path) -> None:
        make(tmp_path, "[a].jpg")
        assert find("[a].jpg") == ["[a].jpg"]

    def test_names_in_lists_mean_themselves(self, find: Find) -> None:
        assert find("[a].jpg", patterns=False) == ["[a].jpg"]

    def test_links_do_not_lead_round_in_circles(self, find: Find, tmp_path: Path) -> None:
        (tmp_path / "trip" / "round").symlink_to(tmp_path)
        assert find("**/e.jpg") == ["trip/deep/e.jpg"]


class TestChoice:
    @pytest.fixture(autouse=True)
    def tree(self, tmp_path: Path) -> None:
        make(tmp_path / "in", "a.jpg", "a_thumb.jpg", "b.png", "old/c.jpg", "old/d.png")

    @pytest.mark.parametrize(
        ("options", "names"),
        [
            ({"include": ["*.png"]}, ["b.png", "old/d.png"]),
            ({"include": ["old/*"]}, ["old/c.jpg", "old/d.png"]),
            ({"include": ["a*", "*/c*"]}, ["a.jpg", "a_thumb.jpg", "old/c.jpg"]),
            ({"exclude": ["*_thumb.*"]}, ["a.jpg", "b.png", "old/c.jpg", "old/d.png"]),
            ({"exclude": ["old"]}, ["a.jpg", "a_thumb.jpg", "b.png"]),
            ({"exclude": ["old/"]}, ["a.jpg", "a_thumb.jpg", "b.png"]),
            ({"include": ["*.jpg"], "exclude": ["old/*", "*_thumb*"]}, ["a.jpg"]),
        ],
    )
    def test_in_a_folder(self, find: Find, options: dict[str, Any], names: list[str]) -> None:
        assert find("in", recursive=True, **options) == [f"in/{name}" for name in names]

    def test_of_what_a_shell_expanded(self, find: Find) -> None:
        assert find("in/a.jpg", "in/a_thumb.jpg", exclude=["*_thumb*"]) == ["in/a.jpg"]

    def test_the_first_few(self, find: Find) -> None:
        assert find("in", "in", limit=4) == ["in/a.jpg", "in/a_thumb.jpg", "in/b.png", "in/a.jpg"]


def test_nothing_is_looked_at_before_it_is_wanted(tmp_path: Path) -> None:
    make(tmp_path, "one/a.jpg", "two/b.jpg")

    def named() -> Iterator[str]:
        yield str(tmp_path / "one")
        pytest.fail("the second name was asked for")

    pictures = from_paths(named(), media_root=tmp_path, note=pytest.fail)
    assert next(pictures).locator == "media:one/a.jpg"


class TestLists:
    @pytest.mark.parametrize(
        ("text", "paths"),
        [
            (b"", []),
            (b"a.jpg\nb c.jpg\n", ["a.jpg", "b c.jpg"]),
            (b"a.jpg\r\n\r\n\nb.jpg", ["a.jpg", "b.jpg"]),
            (b" a.jpg \n", [" a.jpg "]),
            (b"\xff.jpg\n", ["\udcff.jpg"]),
        ],
    )
    def test_lines(self, text: bytes, paths: list[str]) -> None:
        assert list(read_list(io.BytesIO(text))) == paths

    @pytest.mark.parametrize(
        ("text", "paths"),
        [
            (b"", []),
            (b"a.jpg\0two\nlines\r\0", ["a.jpg", "two\nlines\r"]),
            (b"a.jpg\0\0b.jpg", ["a.jpg", "b.jpg"]),
            (b"a" * 100_000 + b"\0b", ["a" * 100_000, "b"]),
        ],
    )
    def test_separated_by_nul(self, text: bytes, paths: list[str]) -> None:
        assert list(read_list(io.BytesIO(text), nul=True)) == paths
