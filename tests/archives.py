"""Archives for tests, written by the standard library: readers of our own are held against it."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

Files = Mapping[str, bytes]


def tar(path: Path, files: Files, *, format: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=format, encoding="utf-8", errors="surrogateescape") as archive:
        for name, data in files.items():
            add(archive, name, data)
    return path


def add(archive: tarfile.TarFile, name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, to: str = "") -> None:
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = len(data), kind, to
    archive.addfile(member, io.BytesIO(data))


def zipped(path: Path, files: Files, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def shard(path: Path, pictures: Mapping[str, bytes]) -> Path:
    """A WebDataset shard: beside each picture a text and an object."""
    files: dict[str, bytes] = {}
    for number, (key, data) in enumerate(pictures.items()):
        beside = {"license": "cc-by", "number": number, "ask": f"What is in picture {number}?"}
        files |= {
            f"{key}.jpg": data,
            f"{key}.txt": f"Text {number}".encode(),
            f"{key}.json": json.dumps(beside).encode(),
        }
    return tar(path, files)
