"""Files of Pixmill's own that nothing needs: blobs, fetched pictures, half-made models, records of files that went."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from pipeline import blobs as kept
from pipeline.errors import ModelBusy
from pipeline.housekeeping.place import Place
from pipeline.locators import open_path
from pipeline.models import staging
from pipeline.remote.cache import Cache

_SETTLING_S = 3600.0
"""A blob is written before its job: a submission may be at that for so long."""
_DIGEST = 64
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Left:
    """Something that may go."""

    size: int
    remove: Callable[[], bool]
    """False: somebody took it up since"""


def count(find: Callable[[Place], Iterator[Left]], place: Place) -> tuple[Mapping[str, int], int]:
    """How many there are, and their bytes."""
    sizes = [left.size for left in find(place)]
    return {"file": len(sizes)}, sum(sizes)


def remove(find: Callable[[Place], Iterator[Left]], place: Place) -> Iterator[tuple[int, int]]:
    """Remove them, one by one."""
    yield from ((1, left.size) for left in find(place) if left.remove())


def blobs(place: Place) -> Iterator[Left]:
    """Blobs that no job names. Where no database is yet, they are another one's, below the same media root."""
    if not place.store.housekeeping.is_there:
        return
    before = min(place.before, time.time() - _SETTLING_S)
    old = ((path, facts) for path, facts in _stored(kept.folder(place.settings)) if facts.st_mtime < before)
    while some := list(islice(old, _AT_ONCE)):
        named = place.store.housekeeping.named_blobs([path.name for path, _ in some])
        for path, facts in some:
            if path.name not in named:
                yield Left(facts.st_size, partial(_unlink, path, before))


def fetched(place: Place) -> Iterator[Left]:
    """Fetched pictures that nobody has used since."""
    cache = Cache(place.settings.fetched, place.settings.fetch_cache_bytes)
    for path, size in cache.unused(place.before):
        yield Left(size, partial(cache.remove, path))


def staged(place: Place) -> Iterator[Left]:
    """Folders in which a model was being made, by nobody who is at it still."""
    models = place.settings.models
    with suppress(FileNotFoundError), os.scandir(models / staging.STAGING) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            # A build that stands aside has another kind of name, and is put back by whoever looks for it.
            if (
                entry.is_dir(follow_symlinks=False)
                and "~" not in entry.name
                and _touched(Path(entry.path)) < place.before
            ):
                size = staging.left(models, entry.name)
                yield Left(size, partial(_sweep, models, entry.name))


def count_watched(place: Place) -> tuple[Mapping[str, int], None]:
    """Records of watched files that are not there any more."""
    return {"record": sum(len(records) for records in _records(place))}, None


def remove_watched(place: Place) -> Iterator[tuple[int, int]]:
    for records in _records(place):
        yield place.store.housekeeping.remove_watched(place.before, records), 0


def _records(place: Place) -> Iterator[list[tuple[int, str]]]:
    for page in place.store.housekeeping.watched(place.before):
        if gone := [(watch, locator) for watch, locator in page if _is_gone(locator, place.settings.media_root)]:
            yield gone


def _is_gone(locator: str, media_root: Path | None) -> bool:
    """Whether the file was removed. Where its folder is missing too a disk may be away: then the record stays.

    Without a record, a file that comes back is asked about again.
    """
    path = open_path(locator, media_root)
    return path is not None and not os.path.lexists(path) and os.path.isdir(os.path.dirname(path))


def _stored(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for at, _, names in os.walk(folder):
        for path in (Path(at) / name for name in names):
            if len(path.name) == _DIGEST or path.name.endswith(".part"):
                with suppress(FileNotFoundError):
                    yield path, path.stat()


def _unlink(path: Path, before: float) -> bool:
    with suppress(FileNotFoundError):
        if path.stat().st_mtime < before:
            path.unlink()
            return True
    return False


def _sweep(models: Path, name: str) -> bool:
    try:
        staging.sweep(models, name)
    except ModelBusy:
        return False
    return True


def _touched(folder: Path) -> float:
    """When something in it was written last."""
    return max(path.lstat().st_mtime for path in (folder, *folder.rglob("*")))
