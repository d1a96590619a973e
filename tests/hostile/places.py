"""What lies where a picture should: names, links and things of the file system that are no files."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

from tests.hostile.sound import SOUND
from tests.hostile.specimen import (
    ANSWERED,
    MISSING,
    TIMEOUT,
    TOO_LARGE,
    TRUNCATED,
    UNREADABLE,
    UNSUPPORTED,
    Specimens,
    placed,
)

_NAMES: dict[str, bytes] = {
    "no utf-8": b"\xff\xfe no utf-8.jpg",
    "half a character": b"\xc3.jpg",
    "two lines": b"two\nlines.jpg",
    "a bell": b"bell \x07.jpg",
    "colors of a terminal": b"\x1b[31mred.jpg",
    "percent": b"%00 %2f %.jpg",
    "hash and question": b"a#b?c=d.jpg",
    "like an address": b"http:example.org.jpg",
    "like a member": b"shard.tar#key.jpg",
    "like an option": b"--help.jpg",
    "spaces": b"  .jpg",
    "dots": b"....jpg",
    "stars": b"*[a]?.jpg",
    "backslashes": b"..\\..\\evil.jpg",
    "longest": b"x" * 251 + b".jpg",
    "right to left": "gpj\u202e.jpg".encode(),
    "combined": "e\u0301.jpg".encode(),
    "composed": "\u00e9.jpg".encode(),
}


def names() -> Specimens:
    """Sound pictures with names that most programs stumble over."""
    for name in _NAMES.values():
        yield placed("places", name, _write, ANSWERED, like=SOUND["baseline.jpg"])


def places() -> Specimens:
    for name, (make, *ends) in _PLACES.items():
        yield placed("places", name.encode(), make, *ends)


def _write(path: bytes) -> None:
    Path(os.fsdecode(path)).write_bytes(SOUND["baseline.jpg"]())


def _hole(start: bytes, size: int) -> Callable[[bytes], None]:
    def make(path: bytes) -> None:
        Path(os.fsdecode(path)).write_bytes(start)
        os.truncate(path, size)  # takes no room on the disk

    return make


def _socket(path: bytes) -> None:
    folder = os.open(os.path.dirname(path), os.O_PATH)
    try:  # by way of the folder: an address may have 107 bytes
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(b"/proc/self/fd/%d/%s" % (folder, os.path.basename(path)))
    finally:
        os.close(folder)


def _link(target: str) -> Callable[[bytes], None]:
    return lambda path: os.symlink(target, path)


def _round(path: bytes) -> None:
    os.symlink(os.path.basename(path), path + b".other")
    os.symlink(os.path.basename(path) + b".other", path)


def _links(count: int) -> Callable[[bytes], None]:
    def make(path: bytes) -> None:
        target = b"nowhere.jpg"
        for number in range(count):
            os.symlink(target, b"%s.%03d" % (path, number))
            target = b"%s.%03d" % (os.path.basename(path), number)
        os.symlink(target, path)

    return make


def _below_a_file(path: bytes) -> None:
    target = path + b".file"
    _write(target)
    os.symlink(os.path.join(os.path.basename(target), b"below.jpg"), path)


def _full_directory(path: bytes) -> None:
    os.mkdir(path)
    _write(os.path.join(path, b"inside"))


_PLACES: dict[str, tuple[Callable[[bytes], None], *tuple[str, ...]]] = {
    "directory.jpg": (os.mkdir, UNREADABLE),
    "full directory.jpg": (_full_directory, UNREADABLE),
    "fifo.jpg": (os.mkfifo, UNREADABLE),
    "socket.jpg": (_socket, UNREADABLE),
    "zeros of a terabyte.jpg": (_hole(b"", 1 << 40), TOO_LARGE),
    "jpeg of a terabyte.jpg": (_hole(SOUND["baseline.jpg"](), 1 << 40), TOO_LARGE),
    "bmp of 10 megabytes and one.bmp": (_hole(SOUND["24 bits.bmp"](), 10_000_001), TOO_LARGE),
    "bmp of 10 megabytes.bmp": (_hole(SOUND["24 bits.bmp"](), 10_000_000), ANSWERED),
    "zeros of 10 megabytes.jpg": (_hole(b"", 10_000_000), UNSUPPORTED),
    "jpeg start of 10 megabytes.jpg": (_hole(b"\xff\xd8\xff", 10_000_000), UNREADABLE, TRUNCATED, TIMEOUT),
    "png start of 10 megabytes.png": (_hole(SOUND["rgb8.png"]()[:60], 10_000_000), UNREADABLE, TRUNCATED),
    "link to itself.jpg": (_link("link to itself.jpg"), UNREADABLE),
    "link round.jpg": (_round, UNREADABLE),
    "links in a row.jpg": (_links(60), UNREADABLE),
    "link to nowhere.jpg": (_link("nowhere.jpg"), MISSING),
    "link below a file.jpg": (_below_a_file, MISSING),
    "link to a directory.jpg": (_link("."), UNREADABLE),
    "link to zeros.jpg": (_link("/dev/zero"), UNREADABLE),
    "link to noise.jpg": (_link("/dev/urandom"), UNREADABLE),
    "link to a terminal.jpg": (_link("/dev/tty"), UNREADABLE),
    "link to nothing.jpg": (_link("/dev/null"), UNREADABLE),
    "link to the decoder itself.jpg": (_link("/proc/self/exe"), UNSUPPORTED, TOO_LARGE),
    "link to its memory.jpg": (_link("/proc/self/mem"), UNREADABLE),
    "link to its own input.jpg": (_link("/proc/self/fd/0"), UNREADABLE, MISSING),
    "link to its settings.jpg": (_link("/proc/self/environ"), UNSUPPORTED, TRUNCATED),
}
