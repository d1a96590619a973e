"""pipeline.sources.archives and .given: the rows of archives, and of all that a person may name."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.locators import display
from pipeline.settings import read_settings
from pipeline.sources.archives import BESIDE_BYTES
from pipeline.sources.filters import Filters
from pipeline.sources.given import Given, refuse_compressed
from pipeline.sources.rows import BadRow, Row
from tests.archives import add, shard, tar, zipped

LINKS = "links in archives are not followed"
TWICE = "an earlier member of the archive has the same name, and hides it"


class Reading:
    """One command's way of reading, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes: list[str] = []

    def rows(
        self, *paths: str | Path, filters: Filters | None = None, questions: Sequence[str] = (), **values: str
    ) -> list[Row | BadRow]:
        settings = read_settings(
            environ={"PIXMILL_MEDIA_ROOT": str(self.folder)}
            | {f"PIXMILL_{key.upper()}": values[key] for key in values},
            folder=self.folder,
        )
        given = Given(
            settings=settings,
            filters=filters or Filters(),
            question_columns=questions,
            note=self.notes.append,
        )
        return list(given.rows([str(path) for path in paths]))

    def names(self, *paths: str | Path, **options: Any) -> list[str]:
        """The names of the pictures, and the messages of rows that cannot be used."""
        return [
            one.message if isinstance(one, BadRow) else display(one.pictures[0].locator)
            for one in self.rows(*paths, **options)
        ]


@pytest.fixture
def reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reading:
    monkeypatch.chdir(tmp_path)
    return Reading(tmp_path)


def test_a_zip_of_pictures(reading: Reading, tmp_path: Path) -> None:
    files = {"b.jpg": b"1", "a/ä 1.PNG": b"22", "notes.doc": b"3", "__MACOSX/._b.jpg": b"4", "a/.hidden.jpg": b"5"}
    path = zipped(tmp_path / "photos.zip", files)
    rows = reading.rows("photos.zip")
    assert [row.custom_id for row in rows] == ["b", "a/ä 1"]
    assert reading.names("photos.zip") == ["photos.zip#b.jpg", "photos.zip#a/ä 1.PNG"]
    assert isinstance(rows[0], Row) and rows[0].columns is None
    facts = path.stat()
    assert (rows[0].pictures[0].size, rows[0].pictures[0].mtime_ns) == (facts.st_size, facts.st_mtime_ns)
    assert reading.notes == []


def test_a_shard(reading: Reading, tmp_path: Path) -> None:
    shard(tmp_path / "s.tar", {"000": b"a", "sub.d/001": b"b"})
    rows = reading.rows("s.tar")
    assert rows == [
        Row(
            pictures=row.pictures,
            custom_id=key,
            columns={
                "license": "cc-by",
                "number": number,
                "ask": f"What is in picture {number}?",
                "txt": f"Text {number}",
            },
        )
        for number, (key, row) in enumerate(zip(["000", "sub.d/001"], rows, strict=True))
        if isinstance(row, Row)
    ]
    assert reading.names("s.tar") == ["s.tar#000.jpg", "s.tar#sub.d/001.jpg"]


def test_questions_out_of_a_shard_only_when_asked_for(reading: Reading, tmp_path: Path) -> None:
    shard(tmp_path / "s.tar", {"000": b"a"})
    tar(tmp_path / "t.tar", {"0.jpg": b"a", "0.json": b'{"ask": 7}', "1.jpg": b""})
    (row,) = reading.rows("s.tar", questions=["ask", "txt"])
    assert isinstance(row, Row) and row.questions == ("What is in picture 0?", "Text 0")
    assert reading.names("t.tar", questions=["ask"]) == [
        f"t.tar#{name}.jpg: the row cannot be used: nothing beside it asks a question as 'ask'" for name in "01"
    ]


def test_what_belongs_together_in_a_shard(reading: Reading, tmp_path: Path) -> None:
    files = {"0.left.jpg": b"", "0.right.jpg": b"", "0.txt": b"both", "0.cls": b"3", "1.seg.png": b"",
             "2 2024.01.02.jpg": b"", "3.txt": b"no picture", "4.JPG": b"", "4.JSON": b"[1]",
             "4.other.txt": b"x"}  # fmt: skip
    tar(tmp_path / "s.tar", files)
    found = [(row.custom_id, row.columns) for row in reading.rows("s.tar")]
    assert found == [
        ("0.left", {"txt": "both"}),
        ("0.right", {"txt": "both"}),
        ("1.seg", None),
        ("2 2024.01.02", None),
        ("4", {"json": [1]}),
    ]


@pytest.mark.parametrize(
    ("beside", "data", "why"),
    [
        ("json", b"{", "is no JSON that can be used"),
        ("json", b"[" * 100_000, "is no JSON that can be used"),
        ("json", b'{"a": NaN}', "is no JSON that can be used"),
        (
            "txt",
            b"x" * (BESIDE_BYTES + 1),
            "the .txt beside it cannot be used: the picture is too large: 1,048,577 bytes",
        ),
    ],
)
def test_what_cannot_be_used_beside_a_picture(
    reading: Reading, tmp_path: Path, beside: str, data: bytes, why: str
) -> None:
    tar(tmp_path / "s.tar", {"0.jpg": b"", f"0.{beside}": data, "1.jpg": b""})
    bad, good = reading.rows("s.tar")
    assert isinstance(bad, BadRow) and why in bad.message and bad.message.startswith("s.tar#0.jpg: ")
    assert (bad.code, bad.custom_id) == ("row_invalid", "0")
    assert isinstance(good, Row)


def test_text_that_is_no_utf8_is_kept_as_far_as_it_goes(reading: Reading, tmp_path: Path) -> None:
    tar(tmp_path / "s.tar", {"0.jpg": b"", "0.txt": b"caf\xe9"})
    (row,) = reading.rows("s.tar")
    assert row.columns == {"txt": "caf\ufffd"}


def test_members_that_are_refused(reading: Reading, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        add(archive, "link.jpg", kind=tarfile.SYMTYPE, to="/etc/passwd")
        add(archive, "device.jpg", kind=tarfile.BLKTYPE)
        add(archive, "/etc/a.jpg", b"x")
        add(archive, "b/../../c.jpg", b"x")
        add(archive, "twice.jpg", b"1")
        add(archive, "twice.jpg", b"2")
    rows = reading.rows("s.tar")
    assert [(row.code, *row.message.split(": ")) for row in rows if isinstance(row, BadRow)] == [
        ("image_unreadable", "s.tar#link.jpg", "the picture cannot be read", f"it is a link, and {LINKS}"),
        ("image_unreadable", "s.tar#device.jpg", "the picture cannot be read", "it is a device or a pipe"),
        ("forbidden_path", "s.tar#/etc/a.jpg", "the path is not allowed", "its name leads out of the archive"),
        ("forbidden_path", "s.tar#b/../../c.jpg", "the path is not allowed", "its name leads out of the archive"),
        ("row_invalid", "s.tar#twice.jpg", "the row cannot be used", TWICE),
    ]
    assert len(rows) == 6, "the first of the two is taken"


def test_a_broken_tail_costs_what_follows_alone(reading: Reading, tmp_path: Path) -> None:
    path = tar(tmp_path / "s.tar", {f"{number}.jpg": bytes(5000) for number in range(4)})
    os.truncate(path, 14_000)
    *good, bad = reading.rows("s.tar")
    assert [row.custom_id for row in good] == ["0", "1"]
    assert isinstance(bad, BadRow) and bad.code == "image_truncated"
    assert bad.message == "s.tar is cut off after byte 14,000, within '2.jpg'; what follows is lost"


def test_a_zip_without_its_end(reading: Reading, tmp_path: Path) -> None:
    path = zipped(tmp_path / "s.zip", {f"{number}.jpg": bytes(5000) for number in range(3)}, zipfile.ZIP_STORED)
    os.truncate(path, 12_000)
    *good, bad = reading.rows("s.zip")
    assert [row.custom_id for row in good] == ["0", "1"]
    assert (
        isinstance(bad, BadRow)
        and bad.code == "image_truncated"
        and "the directory at its end is missing" in bad.message
    )


def test_what_is_no_archive(reading: Reading, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"<html>")
    (tmp_path / "b.zip").write_bytes(b"")
    (tmp_path / "folder.zip").mkdir()
    assert reading.names("a.tar", "b.zip", "gone.zip", "folder.zip") == [
        "a.tar is neither a zip nor a tar file",
        "b.zip is empty (0 bytes)",
        "gone.zip",
    ]
    assert reading.notes == ["folder.zip: no pictures (nothing is there)"]


def test_archives_in_folders_are_left_alone(reading: Reading, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    tar(tmp_path / "in" / "s.tar", {"0.jpg": b""})
    (tmp_path / "in" / "a.jpg").write_bytes(b"x")
    assert reading.names("in", "in/*", "in/**") == ["in/a.jpg"] * 3
    assert reading.names("in/*.tar", "i?/[s].tar") == ["in/s.tar#0.jpg"] * 2


def test_members_and_addresses_by_name(reading: Reading, tmp_path: Path) -> None:
    tar(tmp_path / "s.tar", {"0.jpg": b"", "[1].jpg": b""})
    assert reading.names("s.tar#[1].jpg", f"file://{tmp_path}/s.tar#0.jpg") == ["s.tar#[1].jpg", "s.tar#0.jpg"]
    refused, allowed = (
        *reading.rows("https://example.org/a.jpg?b*"),
        *reading.rows("https://example.org/a.jpg?b*", allowed_domains="example.org"),
    )
    assert isinstance(refused, BadRow) and refused.code == "forbidden_url"
    assert isinstance(allowed, Row) and allowed.pictures[0].locator == "https://example.org/a.jpg?b*"


def test_globs_and_sizes_reach_into_archives(reading: Reading, tmp_path: Path) -> None:
    zipped(tmp_path / "a.zip", {"x/1.jpg": b"1", "x/22.jpg": b"22", "y/333.jpg": b"333", "y/4.png": b"4444"})
    assert reading.names("a.zip", filters=Filters(include=("*.jpg",), exclude=("x/2*",))) == [
        "a.zip#x/1.jpg",
        "a.zip#y/333.jpg",
    ]
    assert reading.names("a.zip", filters=Filters(min_size=2, max_size=3)) == ["a.zip#x/22.jpg", "a.zip#y/333.jpg"]
    assert reading.names("a.zip", filters=Filters(include=("z*",))) == []
    assert reading.names("a.zip", filters=Filters(max_size=0)) == []
    assert reading.notes == [
        "a.zip: no pictures (4 pictures left out by --include or --exclude)",
        "a.zip: no pictures (4 pictures left out by --min-size or --max-size)",
    ]


def test_an_archive_outside_of_the_allowed_folders_is_not_opened(reading: Reading, tmp_path: Path) -> None:
    shard(tmp_path / "s.tar", {"000": b"a"})
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "s.tar").symlink_to(tmp_path / "s.tar")
    (row,) = reading.rows("in/s.tar", allowed_roots=str(tmp_path / "in"))
    assert row == BadRow(
        message="in/s.tar: the path is not allowed: it lies outside the allowed folders", code="forbidden_path"
    )
    assert len(reading.rows("in/s.tar", allowed_roots=str(tmp_path))) == 1


def test_a_million_members_of_one_key_are_not_held(reading: Reading, tmp_path: Path) -> None:
    tar(tmp_path / "s.tar", {f"0.{number}.jpg": b"" for number in range(200)})
    assert len(reading.rows("s.tar")) == 200


@pytest.mark.parametrize("name", ["a.tar.gz", "a.TGZ", "a.tar.zst", "a.7z"])
def test_compressed_as_a_whole(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    refuse_compressed([str(path)])
    path.write_bytes(b"x")
    with pytest.raises(UsageError, match="so that its pictures cannot be read one by one"):
        refuse_compressed(["b.jpg", str(path)])
