"""Forgetting: what a person names, as places and digests, and the traces of it in tables and files."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import blobs as kept
from pipeline.errors import PictureRunning, PictureUnclear, PictureWatched
from pipeline.locators import BLOB, FILE, INSIDE, MEDIA, blob_path, locate, open_path, parted
from pipeline.owner import Owner
from pipeline.remote.cache import Cache
from pipeline.remote.urls import is_remote
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.forgetting import Found, Wanted

_FEWEST = 12
_DIGITS = re.compile(r"[0-9a-fA-F]{12,64}")
_FEW_DIGITS = re.compile(r"[0-9a-fA-F]{1,11}")
_ARCHIVE = (".zip", ".tar")


@dataclass(frozen=True, slots=True)
class Traces:
    """What is known of what is to be forgotten."""

    found: Found
    files: Sequence[Path]
    """blobs and fetched copies"""

    def __bool__(self) -> bool:
        return bool(self.files) or any(self.found.counts.values())


def trace(store: Store, settings: Settings, named: Iterable[str]) -> Traces:
    """What is known of these. Raises PictureUnclear, PictureRunning or PictureWatched."""
    store.reap(Owner.current())  # a killed program's jobs would seem to be at work
    found = store.housekeeping.find(wanted(store, settings, named))
    if found.running:
        raise PictureRunning(batches=", ".join(found.running))
    if found.doors:
        raise PictureWatched(doors=" and ".join(found.doors))
    return Traces(found, [*_blobs(settings, found), *_fetched(settings, found)])


def forget(store: Store, traces: Traces) -> Iterator[int]:
    """Forget it, step by step; each says how many jobs went. What is killed in between finds the rest again."""
    store.housekeeping.mark()
    for path in traces.files:
        path.unlink(missing_ok=True)
    yield from store.housekeeping.forget(traces.found)


# --- what a person names ---------------------------------------------------------------------------


def wanted(store: Store, settings: Settings, named: Iterable[str]) -> Wanted:
    """Paths, locators and digests as places in the database."""
    parts = [_wanted(store, settings, text) for text in named]
    return Wanted(
        locators=frozenset().union(*(part.locators for part in parts)),
        beginnings=frozenset().union(*(part.beginnings for part in parts)),
        digests=frozenset().union(*(part.digests for part in parts)),
    )


def _wanted(store: Store, settings: Settings, text: str) -> Wanted:
    if not os.path.lexists(text):
        if _DIGITS.fullmatch(text):
            return Wanted(digests=frozenset({_digest(store, text.lower())}))
        if _FEW_DIGITS.fullmatch(text):
            raise PictureUnclear(text=text, why=f"is no file. If it begins a SHA-256, give {_FEWEST} digits or more.")
        if text.startswith(BLOB):
            return Wanted(locators=frozenset({text}), digests=frozenset({_whole(text.removeprefix(BLOB))}))
        if is_remote(text):
            return Wanted(locators=frozenset({text}))
        if text.startswith((MEDIA, FILE)):
            return _at(settings, open_path(text, settings.media_root) or text, text)
    return _at(settings, text)


def _at(settings: Settings, path: str, *more: str) -> Wanted:
    """A file, a folder with all below it, an archive with all inside of it, or one member."""
    file, member = (path, None) if more else parted(path)
    locators = {*more, *(locate(file, root, member) for root in (settings.media_root, None))}
    if os.path.isdir(file) or file.endswith(os.sep):
        return Wanted(beginnings=frozenset(f"{locator.rstrip('/')}/" for locator in locators))
    inside = file.lower().endswith(_ARCHIVE) and member is None
    return Wanted(
        locators=frozenset(locators),
        beginnings=frozenset(f"{locator}{INSIDE}" for locator in locators if inside),
        digests=frozenset(_read(file)) if member is None else frozenset(),
    )


def _digest(store: Store, digits: str) -> bytes:
    if len(digits) == 64:
        return bytes.fromhex(digits)
    found = store.housekeeping.digests_like(digits)
    if len(found) != 1:
        why = f"begins the SHA-256 of {len(found)} pictures: give more digits." if found else "begins no known SHA-256."
        raise PictureUnclear(text=digits, why=why)
    return found.pop()


def _whole(digits: str) -> bytes:
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise PictureUnclear(text=BLOB + digits, why="is no locator: 64 hexadecimal digits follow blob:.") from None


def _read(path: str) -> set[bytes]:
    """The digest of what a file holds now, which may lie in the database under other names."""
    if not os.path.isfile(path):
        return set()
    with Path(path).open("rb") as file:
        return {hashlib.file_digest(file, "sha256").digest()}


# --- files of ours ---------------------------------------------------------------------------------


def _blobs(settings: Settings, found: Found) -> Iterator[Path]:
    folder = kept.folder(settings)
    for digest in sorted(found.digests):
        path = blob_path(folder, digest.hex())
        if path.exists():
            yield path


def _fetched(settings: Settings, found: Found) -> Iterator[Path]:
    cache = Cache(settings.fetched, settings.fetch_cache_bytes)
    for locator in sorted(found.locators):
        if is_remote(locator):
            yield from cache.kept(locator)
