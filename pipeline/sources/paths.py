"""Pictures that a person names: files, folders, patterns, and lists of them."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from pipeline.locators import Picture, printable
from pipeline.sources import globs
from pipeline.sources.folders import entries, is_folder

SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".tif", ".tiff", ".bmp",
    ".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".heic", ".heif",
})  # fmt: skip
"""a file in a folder is taken for a picture by its name; one that is named itself, whatever its name"""

_CHUNK = 1 << 16


def from_paths(
    paths: Iterable[str],
    *,
    recursive: bool = False,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    patterns: bool = True,
    media_root: Path | None = None,
    limit: int | None = None,
    note: Callable[[str], None],
) -> Iterator[Picture]:
    """The pictures of files, folders and patterns, in the order named, in each folder by name.

    `include` and `exclude` are patterns for names or for paths below the named folder. `patterns` is off for
    names out of lists, which mean themselves. `note` is told in a sentence where no picture was found, and why.
    A file that is not there is a picture too: its job says so, and the others go on.
    """
    search = _Search(recursive, _matcher(include, otherwise=True), _matcher(exclude, otherwise=False), note)
    found = (path for named in paths for path in search.named(named, patterns=patterns))
    for path in islice(found, limit):
        yield Picture.at(path, media_root)


def read_list(stream: BinaryIO, *, nul: bool = False) -> Iterator[str]:
    """The paths in a list, one a line, or separated by NUL bytes; empty lines count for nothing."""
    for path in _split_at_nul(stream) if nul else (line.rstrip(b"\r\n") for line in stream):
        if path:
            yield os.fsdecode(path)


def is_picture(name: str) -> bool:
    """Whether a file name is one of a picture."""
    return os.path.splitext(name)[1].lower() in SUFFIXES


@dataclass(slots=True)
class _Seen:
    """What a folder or a pattern had besides pictures."""

    pictures: int = 0
    left_out: int = 0
    others: int = 0
    folders: int = 0
    links: int = 0

    def why_none(self, *, recursive: bool) -> str:
        reasons = [_count(self.others, "other file")] if self.others else []
        if self.left_out:
            reasons.append(f"{_count(self.left_out, 'picture')} left out by --include or --exclude")
        if self.folders and not recursive:
            reasons.append(f"-r looks into {_count(self.folders, 'subfolder')}")
        if self.links:
            reasons.append(f"{_count(self.links, 'linked folder')} not entered")
        return f"no pictures ({'; '.join(reasons)})" if reasons else "no pictures (nothing is there)"


@dataclass(frozen=True, slots=True)
class _Search:
    """The choices of one command, applied to each thing it names."""

    recursive: bool
    included: Callable[[str], bool]
    excluded: Callable[[str], bool]
    note: Callable[[str], None]

    def named(self, path: str, *, patterns: bool) -> Iterator[str]:
        if os.path.isdir(path):
            yield from self._folder(path)
        elif patterns and globs.is_pattern(path) and not os.path.lexists(path):
            yield from self._pattern(path)
        elif not path:
            self.note("an empty name names no picture")
        elif self._wanted(path):
            yield path

    def _folder(self, top: str) -> Iterator[str]:
        seen = _Seen()
        waiting = [""]
        while waiting:
            below = waiting.pop()
            inside = entries(os.path.join(top, below), self._unreadable)
            folders = [os.path.join(below, entry.name) for entry in inside if self._enterable(entry, below)]
            seen.folders += len(folders)
            if self.recursive:
                waiting += reversed(folders)
            for entry in inside:
                yield from self._entry(entry, top, os.path.join(below, entry.name), seen)
        if not seen.pictures:
            self.note(f"{printable(top)}: {seen.why_none(recursive=self.recursive)}")

    def _enterable(self, entry: os.DirEntry[str], below: str) -> bool:
        """Links are not entered: they lead outside, or round in circles."""
        return entry.is_dir(follow_symlinks=False) and not self.excluded(os.path.join(below, entry.name))

    def _entry(self, entry: os.DirEntry[str], top: str, name: str, seen: _Seen) -> Iterator[str]:
        if is_picture(name):  # also a folder of such a name: its job says what it is
            yield from self._counted(name, os.path.join(top, name), seen)
        elif not is_folder(entry):
            seen.others += 1
        elif entry.is_symlink():
            seen.links += 1

    def _pattern(self, pattern: str) -> Iterator[str]:
        seen = _Seen()
        for path in globs.expand(pattern, self._unreadable):
            if is_picture(path):
                yield from self._counted(path, path, seen)
            elif not os.path.isdir(path):
                seen.others += 1
            elif globs.ANY_FOLDERS not in pattern:  # which enters folders itself
                seen.pictures += 1
                yield from self._folder(path)
        if not seen.pictures:
            self.note(f"{printable(pattern)}: {seen.why_none(recursive=True)}")

    def _counted(self, name: str, path: str, seen: _Seen) -> Iterator[str]:
        if self._wanted(name):
            seen.pictures += 1
            yield path
        else:
            seen.left_out += 1

    def _wanted(self, name: str) -> bool:
        return self.included(name) and not self.excluded(name)

    def _unreadable(self, folder: str, error: OSError) -> None:
        self.note(f"{printable(folder or os.curdir)}: cannot be read ({(error.strerror or str(error)).lower()})")


def _matcher(patterns: Sequence[str], *, otherwise: bool) -> Callable[[str], bool]:
    """Whether a relative path, or the name at its end, fits one of the patterns."""
    if not patterns:
        return lambda path: otherwise
    fits = re.compile("|".join(fnmatch.translate(pattern.rstrip("/")) for pattern in patterns)).match
    return lambda path: bool(fits(path) or fits(os.path.basename(path)))


def _split_at_nul(stream: BinaryIO) -> Iterator[bytes]:
    rest = b""
    while chunk := stream.read(_CHUNK):
        *paths, rest = (rest + chunk).split(b"\0")
        yield from paths
    yield rest


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
