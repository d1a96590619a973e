"""pipeline.archives: what the standard library wrote is read back, and damage is told, never fallen for."""

from __future__ import annotations

import io
import os
import random
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import archives
from pipeline.archives.contents import read_member
from pipeline.archives.members import ArchiveBroken, ArchiveCut, Member
from pipeline.errors import ImageTooLarge, ImageTruncated, ImageUnreadable, ImageUnsupported, JobError
from tests.archives import Files, add, tar, zipped

FILES = {"a.jpg": b"first" * 300, "folder/b c.png": b"", "folder/ä#?.gif": bytes(range(256)) * 9}
LARGE = 1 << 20
Write = Callable[[Path, Files], Path]
WRITERS: dict[str, Write] = {"tar": tar, "zip": zipped}
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
METHODS = {"stored": zipfile.ZIP_STORED, "deflated": zipfile.ZIP_DEFLATED}

names = st.text(st.characters(codec="utf-8", exclude_characters="\0\\"), min_size=1, max_size=300).filter(
    lambda name: not name.startswith(("/", "./")) and not name.endswith("/")
)
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def listed(path: Path) -> list[Member]:
    fd = os.open(path, os.O_RDONLY)
    try:
        return list(archives.members(fd))
    finally:
        os.close(fd)


def held(path: Path, max_bytes: int = LARGE) -> dict[bytes, bytes | JobError]:
    """What each member holds, or why it cannot be had."""
    fd = os.open(path, os.O_RDONLY)
    found: dict[bytes, bytes | JobError] = {}
    try:
        for member in archives.members(fd):
            try:
                found[member.name] = read_member(fd, member, max_bytes=max_bytes)
            except JobError as error:
                found[member.name] = error
    finally:
        os.close(fd)
    return found


def encoded(files: Files) -> dict[bytes, bytes]:
    return {os.fsencode(name): data for name, data in files.items()}


@pytest.mark.parametrize("format", FORMATS.values(), ids=FORMATS)
def test_tar(tmp_path: Path, format: int) -> None:
    assert held(tar(tmp_path / "a.tar", FILES, format=format)) == encoded(FILES)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_zip(tmp_path: Path, method: int) -> None:
    assert held(zipped(tmp_path / "a.zip", FILES, method)) == encoded(FILES)


@quick
@given(st.dictionaries(names, st.binary(max_size=700), max_size=4), st.sampled_from(list(FORMATS.values())))
def test_any_name_in_a_tar(tmp_path: Path, files: dict[str, bytes], format: int) -> None:
    try:
        path = tar(tmp_path / "a.tar", files, format=format)
    except ValueError:  # too long for the old format
        return
    assert held(path) == encoded(files)


@quick
@given(st.dictionaries(names, st.binary(max_size=700), min_size=1, max_size=4))
def test_any_name_in_a_zip(tmp_path: Path, files: dict[str, bytes]) -> None:
    assert held(zipped(tmp_path / "a.zip", files)) == encoded(files)


def test_a_name_that_is_no_text_in_a_tar(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xfe.jpg")
    assert held(tar(tmp_path / "a.tar", {name: b"x"}, format=tarfile.GNU_FORMAT)) == {b"\xff\xfe.jpg": b"x"}


def test_the_dot_in_front_is_no_part_of_a_name(tmp_path: Path) -> None:
    assert [member.name for member in listed(tar(tmp_path / "a.tar", {"./a.jpg": b"", ".//./b/c.jpg": b""}))] == [
        b"a.jpg",
        b"b/c.jpg",
    ]


def test_folders_and_links_and_devices(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in {
            "folder": tarfile.DIRTYPE,
            "soft": tarfile.SYMTYPE,
            "hard": tarfile.LNKTYPE,
            "device": tarfile.CHRTYPE,
            "pipe": tarfile.FIFOTYPE,
        }.items():
            add(archive, name, kind=kind, to="/etc/passwd")
        add(archive, "real", b"x")
    found = {member.name: member for member in listed(tmp_path / "a.tar")}
    assert found[b"folder/"].is_folder
    assert "is a link" in str(found[b"soft"].fault) and "is a link" in str(found[b"hard"].fault)
    assert "device or a pipe" in str(found[b"device"].fault) and "device or a pipe" in str(found[b"pipe"].fault)
    assert found[b"real"].fault is None
    assert isinstance(held(tmp_path / "a.tar")[b"soft"], ImageUnreadable)


def test_links_in_a_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("link.jpg")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.mkdir("folder")
    found = listed(tmp_path / "a.zip")
    assert "is a link" in str(found[0].fault)
    assert found[1].is_folder


def test_a_file_with_holes(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        member = tarfile.TarInfo("a.jpg")
        member.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
        archive.addfile(member)
    assert "holes" in str(listed(tmp_path / "a.tar")[0].fault)


def test_a_long_map_of_holes_hides_nothing_behind_it(tmp_path: Path) -> None:
    member = tarfile.TarInfo("holes.jpg")
    member.type, member.size = tarfile.GNUTYPE_SPARSE, 600
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[482] = 1
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    maps = bytes(504) + b"\1" + bytes(7) + bytes(512)
    behind = tar(tmp_path / "a.tar", {"a.jpg": b"x"}).read_bytes()
    (tmp_path / "a.tar").write_bytes(header + maps + b"y" * 600 + bytes(424) + behind)
    first, second = listed(tmp_path / "a.tar")
    assert "holes" in str(first.fault)
    assert (second.name, second.fault) == (b"a.jpg", None)


def test_encrypted(tmp_path: Path) -> None:
    data = bytearray(zipped(tmp_path / "a.zip", {"a.jpg": b"x" * 100}).read_bytes())
    for magic, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(magic) + place] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    assert str(held(tmp_path / "a.zip")[b"a.jpg"]) == "the picture cannot be read: it is encrypted"


def test_compressed_in_another_way(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.jpg": b"x" * 100}, zipfile.ZIP_LZMA)
    assert isinstance(held(path)[b"a.jpg"], ImageUnsupported)


def test_a_bomb_costs_no_more_than_the_limit(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.jpg": bytes(50_000_000)})
    assert path.stat().st_size < 60_000
    assert isinstance(held(path, max_bytes=1000)[b"a.jpg"], ImageTooLarge)


def test_a_bomb_that_says_it_is_small(tmp_path: Path) -> None:
    data = bytearray(zipped(tmp_path / "a.zip", {"a.jpg": bytes(50_000_000)}).read_bytes())
    for magic, place in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        struct.pack_into("<I", data, data.index(magic) + place, 10)
    (tmp_path / "a.zip").write_bytes(data)
    assert "once it is unpacked" in str(held(tmp_path / "a.zip", max_bytes=100_000)[b"a.jpg"])


def test_bytes_that_were_changed(tmp_path: Path) -> None:
    for method in METHODS.values():
        data = bytearray(zipped(tmp_path / "a.zip", {"a.jpg": random.Random(1).randbytes(500)}, method).read_bytes())
        data[200] ^= 1
        (tmp_path / "a.zip").write_bytes(data)
        assert isinstance(held(tmp_path / "a.zip")[b"a.jpg"], ImageUnreadable)


def test_packed_bytes_that_end_too_early(tmp_path: Path) -> None:
    data = bytearray(zipped(tmp_path / "a.zip", {"a.jpg": random.Random(1).randbytes(500)}).read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\1\2") + 20, 100)
    (tmp_path / "a.zip").write_bytes(data)
    assert isinstance(held(tmp_path / "a.zip")[b"a.jpg"], ImageTruncated)


def test_members_beyond_the_old_limits_of_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        with archive.open("wide.jpg", "w", force_zip64=True) as member:
            member.write(b"x" * 10)
        for number in range(3):
            archive.writestr(f"{number}.txt", b"")
    assert b"PK\6\6" in (tmp_path / "a.zip").read_bytes(), "a directory of the wide kind"
    found = listed(tmp_path / "a.zip")
    assert len(found) == 4
    assert held_one(tmp_path / "a.zip", found[0]) == b"x" * 10


def held_one(path: Path, member: Member) -> bytes:
    with path.open("rb") as file:
        return read_member(file.fileno(), member, max_bytes=LARGE)


def test_sizes_beyond_the_digits_of_tar(tmp_path: Path) -> None:
    member = tarfile.TarInfo("a.jpg")
    member.size = 9 << 30
    block = member.tobuf(tarfile.GNU_FORMAT)
    path = tmp_path / "a.tar"
    path.write_bytes(block)
    os.truncate(path, 512 + (9 << 30) + 1024)
    assert [found.size for found in listed(path)] == [9 << 30]
    assert isinstance(held(path)[b"a.jpg"], ImageTooLarge)


def test_a_zip_behind_an_installer(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", FILES)
    path.write_bytes(b"MZ" + bytes(5000) + path.read_bytes())
    assert held(path) == encoded(FILES)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty (0 bytes)"),
        (b"no archive" * 100, "is neither a zip nor a tar file"),
        (b"x", "is neither a zip nor a tar file"),
        (zlib.compress(b"x", wbits=31), "is compressed as a whole (gzip)"),
        (b"BZh91AY" + bytes(600), "is compressed as a whole (bzip2)"),
    ],
)
def test_no_archive(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(ArchiveBroken) as raised:
        listed(tmp_path / "a.tar")
    assert why in str(raised.value)


@pytest.mark.parametrize("write", [tar, zipped])
def test_without_members(tmp_path: Path, write: Write) -> None:
    assert listed(write(tmp_path / "archive", {})) == []


def until_broken(fd: int) -> tuple[dict[bytes, bytes], ArchiveBroken | None]:
    """The members that can be read, and what there was instead of the next."""
    found: dict[bytes, bytes] = {}
    try:
        for member in archives.members(fd):
            try:
                found[member.name] = read_member(fd, member, max_bytes=LARGE)
            except JobError:
                continue
    except ArchiveBroken as error:
        return found, error
    return found, None


@contextmanager
def in_memory(content: bytes) -> Iterator[int]:
    fd = os.memfd_create("archive")
    os.pwrite(fd, content, 0)
    yield fd
    os.close(fd)


@pytest.mark.parametrize("write", [tar, zipped])
def test_wherever_it_is_cut_what_came_before_is_there(tmp_path: Path, write: Write) -> None:
    files = {f"{number}.jpg": random.Random(number).randbytes(700) for number in range(3)}
    data = write(tmp_path / "whole", files).read_bytes().rstrip(b"\0")
    whole = list(encoded(files).items())
    least = len(files)
    with in_memory(data) as fd:
        for length in range(len(data), 511, -5):
            os.ftruncate(fd, length)
            found, error = until_broken(fd)
            assert list(found.items()) == whole[: len(found)], length
            assert len(found) <= least, "a shorter piece has no more"
            least = len(found)
            assert length == len(data) or isinstance(error, ArchiveCut) or length % 512 == 0, (length, error)
    assert least == 0


@quick
@given(st.sampled_from(["tar", "zip"]), st.data())
def test_flipped_bytes_raise_nothing_else(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    content = bytearray(WRITERS[kind](tmp_path / "a", FILES).read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=8)):
        content[place] = data.draw(st.integers(0, 255))
    with in_memory(bytes(content)) as fd:
        found, _ = until_broken(fd)
    assert len(found) <= len(FILES) + 8


@quick
@given(st.sampled_from([b"PK\3\4", b"PK\5\6", b"ustar"]), st.binary(max_size=3000))
def test_noise_raises_nothing_else(magic: bytes, noise: bytes) -> None:
    with in_memory(magic + noise) as fd:
        until_broken(fd)


@pytest.mark.parametrize("wide", [2**63 - 1, 2**63, 2**64 - 1])
def test_offsets_and_sizes_no_file_can_have(tmp_path: Path, wide: int) -> None:
    path = tmp_path / "a.zip"
    zipped(path, {"a.jpg": b"x"}, zipfile.ZIP_STORED)
    data = path.read_bytes()
    at = data.index(b"PK\1\2")
    extra = struct.pack("<HHQQQ", 1, 24, wide, wide, wide)
    entry = bytearray(data[at : at + 46 + 5])
    struct.pack_into("<II", entry, 20, 0xFFFFFFFF, 0xFFFFFFFF)
    struct.pack_into("<H", entry, 30, len(extra))
    struct.pack_into("<I", entry, 42, 0xFFFFFFFF)
    end = bytearray(data[-22:])
    struct.pack_into("<I", end, 12, len(entry) + len(extra))
    path.write_bytes(data[:at] + entry + extra + end)
    assert [type(reason) for reason in held(path).values()] == [ImageUnreadable]
    member = tarfile.TarInfo("a.jpg")
    member.size = wide
    for kind in (tarfile.REGTYPE, b"L", b"x", b"g", b"V"):
        member.type = kind
        (tmp_path / "a.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
        with pytest.raises(ArchiveBroken):
            listed(tmp_path / "a.tar")


def test_an_endless_chain_of_headers_ends_with_the_file(tmp_path: Path) -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = b"L", 5
    link = header.tobuf(tarfile.GNU_FORMAT) + b"name\0".ljust(512, b"\0")
    (tmp_path / "a.tar").write_bytes(link * 2000)
    assert listed(tmp_path / "a.tar") == []


def test_a_header_of_a_gigabyte_is_not_read(tmp_path: Path) -> None:
    header = tarfile.TarInfo("pax")
    header.type, header.size = b"x", 1 << 30
    (tmp_path / "a.tar").write_bytes(header.tobuf())
    os.truncate(tmp_path / "a.tar", 2 << 30)
    with pytest.raises(ArchiveBroken, match="a header of 1,073,741,824 bytes"):
        listed(tmp_path / "a.tar")


def test_old_tars_without_a_mark(tmp_path: Path) -> None:
    block = bytearray(tarfile.TarInfo("a.jpg").tobuf(tarfile.USTAR_FORMAT))
    block[257:265] = bytes(8)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    (tmp_path / "a.tar").write_bytes(block + bytes(1024))
    assert [member.name for member in listed(tmp_path / "a.tar")] == [b"a.jpg"]


def test_one_after_another_without_holding_them(tmp_path: Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for number in range(50):
            add(archive, f"{number}.jpg", b"x" * 1000)
    (tmp_path / "a.tar").write_bytes(data.getvalue()[:20_000])
    fd = os.open(tmp_path / "a.tar", os.O_RDONLY)
    assert next(archives.members(fd)).name == b"0.jpg"
    os.close(fd)
