"""Pictures that a person names: files, folders, patterns, and lists of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from pipeline.archives import is_archive
from pipeline.locators import Picture, printable
from pipeline.sources import globs
from pipeline.sources.filters import Filters
from pipeline.sources.folders import entries, is_folder
from pipeline.sources.named import is_elsewhere

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
    search = Search(recursive, Filters(include=tuple(include), exclude=tuple(exclude)), note)
    for path in islice(search.all(paths, patterns=patterns), limit):
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
class Seen:
    """What a folder, a pattern or an archive had besides pictures."""

    pictures: int = 0
    left_out: int = 0
    unfit: int = 0
    others: int = 0
    folders: int = 0
    links: int = 0
    unreadable: int = 0

    def why_none(self, *, recursive: bool) -> str:
        reasons = [_count(self.others, "other file")] if self.others else []
        if self.unreadable:
            reasons.append(f"{_count(self.unreadable, 'folder')} cannot be read")
        if self.left_out:
            reasons.append(f"{_count(self.left_out, 'picture')} left out by --include or --exclude")
        if self.unfit:
            reasons.append(f"{_count(self.unfit, 'picture')} left out by --min-size or --max-size")
        if self.folders and not recursive:
            reasons.append(f"-r looks into {_count(self.folders, 'subfolder')}")
        if self.links:
            reasons.append(f"{_count(self.links, 'linked folder')} not entered")
        return f"no pictures ({'; '.join(reasons)})" if reasons else "no pictures (nothing is there)"


@dataclass(frozen=True, slots=True)
class Search:
    """The choices of one command, applied to each thing it names."""

    recursive: bool
    filters: Filters
    note: Callable[[str], None]
    archives: bool = False
    """whether what is inside of archives is looked for: those found are given out, whatever their names"""

    def all(self, paths: Iterable[str], *, patterns: bool) -> Iterator[str]:
        """The paths of the files that were named, or found in what was named, and all that is no path as it is."""
        return (path for named in paths for path in self.named(named, patterns=patterns))

    def named(self, path: str, *, patterns: bool) -> Iterator[str]:
        if os.path.isdir(path):
            yield from self._folder(path)
        elif self.archives and ((is_archive(path) and os.path.lexists(path)) or is_elsewhere(path)):
            yield path
        elif patterns and globs.is_pattern(path) and not os.path.lexists(path):
            yield from self._pattern(path)
        elif not path:
            self.note("an empty name names no picture")
        elif self.filters.wanted(path):
            yield path

    def _folder(self, top: str) -> Iterator[str]:
        seen = Seen()
        waiting = [""]
        while waiting:
            below = waiting.pop()
            inside = entries(os.path.join(top, below).rstrip(os.sep) or os.sep, self._unreadable(seen))
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
        return entry.is_dir(follow_symlinks=False) and not self.filters.left_out(os.path.join(below, entry.name))

    def _entry(self, entry: os.DirEntry[str], top: str, name: str, seen: Seen) -> Iterator[str]:
        if is_picture(name):  # also a folder of such a name: its job says what it is
            yield from self._counted(name, os.path.join(top, name), seen)
        elif not is_folder(entry):
            seen.others += 1
        elif entry.is_symlink():
            seen.links += 1

    def _pattern(self, pattern: str) -> Iterator[str]:
        seen = Seen()
        for path in globs.expand(pattern, self._unreadable(seen)):
            if is_picture(path):
                yield from self._counted(path, path, seen)
            elif self.archives and is_archive(path) and is_archive(pattern) and os.path.isfile(path):
                seen.pictures += 1
                yield path
            elif not os.path.isdir(path):
                seen.others += 1
            elif globs.ANY_FOLDERS not in pattern:  # which enters folders itself
                seen.pictures += 1
                yield from self._folder(path)
        if not seen.pictures:
            self.note(f"{printable(pattern)}: {seen.why_none(recursive=True)}")

    def _counted(self, name: str, path: str, seen: Seen) -> Iterator[str]:
        if self.filters.wanted(name):
            seen.pictures += 1
            yield path
        else:
            seen.left_out += 1

    def _unreadable(self, seen: Seen) -> Callable[[str, OSError], None]:
        def note(folder: str, error: OSError) -> None:
            seen.unreadable += 1
            self.note(f"{printable(folder or os.curdir)}: cannot be read ({(error.strerror or str(error)).lower()})")

        return note


def _split_at_nul(stream: BinaryIO) -> Iterator[bytes]:
    rest = b""
    while chunk := stream.read(_CHUNK):
        *paths, rest = (rest + chunk).split(b"\0")
        yield from paths
    yield rest


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
