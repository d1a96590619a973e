"""Pictures in archives, from the locator to the answer: real decoder processes, a real store, a fake engine."""

from __future__ import annotations

import io
import os
import random
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from pipeline.locators import Picture, locate
from pipeline.store import Store
from tests.archives import Files, tar, zipped
from tests.house import LIMITS, House, draw, saying
from workers.child import Refused
from workers.opener import Opener

ODD = ("a/b c.bmp", "two\nlines.bmp", "#%23?.bmp", os.fsdecode(b"\xff\xfe.bmp"), "ü" * 120 + ".bmp")


def bmp(tmp_path: Path, number: int) -> bytes:
    return draw(tmp_path / "picture.bmp", number).read_bytes()


@pytest.fixture
def opener() -> Iterator[Opener]:
    with Opener(LIMITS) as opened:
        yield opened


def colour(opener: Opener, archive: Path, member: str) -> object:
    return opener.open(locate(archive, None, member)).getpixel((0, 0))


def code(opener: Opener, archive: Path, member: str) -> str:
    with pytest.raises(Refused) as raised:
        opener.open(locate(archive, None, member))
    return raised.value.code


def test_members_of_any_name(opener: Opener, tmp_path: Path) -> None:
    files = {name: bmp(tmp_path, number) for number, name in enumerate(ODD)}
    shard = tar(tmp_path / "odd #1.tar", files)
    text = zipped(tmp_path / "a.zip", {name: files[name] for name in ODD if name.isprintable()})
    for number, name in enumerate(ODD):
        assert colour(opener, shard, name) == (number, 0, 77)
        assert not name.isprintable() or colour(opener, text, name) == (number, 0, 77)


def test_hostile_members_cost_their_own_job_alone(opener: Opener, tmp_path: Path) -> None:
    good = bmp(tmp_path, 7)
    bomb = zipped(tmp_path / "bomb.zip", {"a.bmp": bytes(300_000_000), "good.bmp": good})
    lying = bytearray(bomb.read_bytes())
    for magic, place in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        struct.pack_into("<I", lying, lying.index(magic) + place, 1000)
    (tmp_path / "lying.zip").write_bytes(lying)
    encrypted = bytearray(zipped(tmp_path / "encrypted.zip", {"a.bmp": good}).read_bytes())
    encrypted[encrypted.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "encrypted.zip").write_bytes(encrypted)
    cut = tar(tmp_path / "cut.tar", {"good.bmp": good, "a.bmp": good})
    os.truncate(cut, 1500)
    (tmp_path / "text.tar").write_bytes(b"no archive")
    for name, expected in {
        "bomb.zip": "image_too_large",
        "lying.zip": "image_too_large",
        "encrypted.zip": "image_unreadable",
        "cut.tar": "image_truncated",
        "text.tar": "image_unreadable",
        "gone.tar": "image_missing",
    }.items():
        assert code(opener, tmp_path / name, "a.bmp") == expected, name
    assert code(opener, bomb, "gone.bmp") == "image_missing"
    for archive in (bomb, tmp_path / "lying.zip", cut):
        assert colour(opener, archive, "good.bmp") == (7, 0, 77)


def test_archives_of_noise_kill_no_decoder(opener: Opener, tmp_path: Path) -> None:
    rng = random.Random(5)
    good: Files = {"a.bmp": bmp(tmp_path, 1), "b.bmp": bmp(tmp_path, 2)}
    for number in range(60):
        data = bytearray((tar if number % 2 else zipped)(tmp_path / "base", good).read_bytes())
        for _ in range(rng.randrange(1, 20)):
            data[rng.randrange(min(len(data), 2500))] = rng.randrange(256)
        (tmp_path / f"{number}").write_bytes(data)
        try:
            opener.open(locate(tmp_path / f"{number}", None, "b.bmp"))
        except Refused as refused:
            assert "ended the decoder" not in refused.message, refused


def test_only_below_the_allowed_folders(tmp_path: Path) -> None:
    shard = tar(tmp_path / "s.tar", {"a.bmp": bmp(tmp_path, 3)})
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "s.tar").symlink_to(shard)
    with Opener(replace(LIMITS, allowed_roots=(str(tmp_path / "in"),))) as opener:
        assert code(opener, tmp_path / "in" / "s.tar", "a.bmp") == "forbidden_path"
    with Opener(replace(LIMITS, allowed_roots=(str(tmp_path),))) as opener:
        assert colour(opener, tmp_path / "in" / "s.tar", "a.bmp") == (3, 0, 77)


def test_a_large_deflated_picture(opener: Opener, tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.effect_noise((900, 900), 60).convert("RGB").save(stream, "PNG")
    assert len(stream.getvalue()) > 1_000_000
    path = zipped(tmp_path / "a.zip", {"noise.png": stream.getvalue()}, zipfile.ZIP_DEFLATED)
    assert opener.open(locate(path, None, "noise.png")).size == (900, 900)


def test_a_shard_is_answered_and_a_changed_one_marked(store: Store, tmp_path: Path) -> None:
    house = House(store)
    files = {f"{number}.bmp": bmp(tmp_path, number) for number in range(40)}
    shard = tar(tmp_path / "s.tar", files)
    pictures = [Picture.at(shard, None, name) for name in files]
    assert house.run(pictures[:20]).counts.done == 20
    os.utime(shard, ns=(1, 2))
    assert house.run(pictures[20:]).counts.done == 20
    found = {row.pictures[0].name: row for row in house.store.views.answers()}
    assert {name: row.text for name, row in found.items()} == {
        f"{shard}#{number}.bmp": saying("What?", number) for number in range(40)
    }
    changed = {name for name, row in found.items() if house.store.views.job(row.job).source_changed}
    assert changed == {f"{shard}#{number}.bmp" for number in range(20, 40)}
