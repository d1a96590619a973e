"""The way a build comes to its name: whole, or not at all.

It grows in a folder beside the models and takes its name by renaming, so whoever looks, and whenever the
program is killed, there is the old build or the new one. A lock keeps two makers of one name apart; the
kernel frees it with the process that holds it.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.display import size
from pipeline.errors import DiskFull, DiskTooSmall, ModelBusy, ModelNameTaken, ModelNameUnfit, ModelsUnwritable

STAGING = ".staging"
LONGEST = 100

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DEVICE = re.compile(r"(CPU|GPU|NPU|AUTO|MULTI|HETERO|BATCH)(\.\d+)?", re.IGNORECASE)
_LOCK, _LOG = ".lock", ".log"
_ASIDE = "~old"  # in no name

Swap = Callable[[Path, Path], bool]

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
# What kernels and file systems that cannot exchange say: an old one, NFS, FUSE.
_CANNOT = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP}


def exchanged(one: Path, other: Path) -> bool:
    """Let two folders swap places at once. False where the C library or the file system cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT:
        return False
    raise OSError(code, os.strerror(code), str(other))


@contextmanager
def staged(models: Path, name: str, *, needs: int, resume: bool = False, exchange: Swap = exchanged) -> Iterator[Path]:
    """A folder to make the build `name` in, which takes that name when the block ends well.

    `needs` is the disk it takes, in bytes. With `resume` the folder still holds what an earlier try left,
    and is kept when the block fails; else it starts empty and a failure removes it.
    """
    place = _place(models, name)
    with _held(place):
        with _complaining(place):
            _make_room(place, needs, resume)
        try:
            with _room_left(place):
                yield place.work
            with _complaining(place):
                _to_disk(place.work)
                _take_name(place, exchange)
        except BaseException:
            if not resume:
                shutil.rmtree(place.work, ignore_errors=True)  # what stays, the next call removes
            raise
        with _complaining(place):
            clear(place.work)


def remove(models: Path, name: str) -> int:
    """Take a build and its name away, for all who look at once, with what tries left; how many bytes that frees."""
    place = _place(models, name)
    with _held(place), _complaining(place):
        freed = left(models, name) + _weight(place.target)
        clear(place.work)
        if os.path.lexists(place.target):
            place.target.rename(place.work)
        clear(place.work)
    return freed


def left(models: Path, name: str) -> int:
    """Bytes that tries for a name left, which another try goes on from or removes."""
    return _weight(_place(models, name).work)


def sweep(models: Path, name: str) -> None:
    """Remove what tries for a name left."""
    place = _place(models, name)
    if os.path.lexists(place.work) or os.path.lexists(place.aside):
        with _held(place), _complaining(place):
            clear(place.work)


def restore(models: Path, name: str) -> None:
    """Give a build its name back if the program was killed while it stood aside. Costs one look otherwise."""
    if not _unfit(name) and os.path.lexists(models / STAGING / f"{name}{_ASIDE}"):
        try:
            with _held(_place(models, name)):
                return  # whoever gets the lock has put things right
        except ModelBusy:
            return  # so has the one that holds it


def check_name(name: str) -> None:
    """Refuse what cannot be a model's name: it is a folder's name, and part of queues' and metrics' names."""
    if why := _unfit(name):
        raise ModelNameUnfit(name=name, why=why)


def _unfit(name: str) -> str | None:
    if not _NAME.fullmatch(name):
        return "it may have letters, digits, dots, dashes and underscores, and starts with a letter or digit"
    if len(name) > LONGEST:
        return f"it is longer than {LONGEST} characters"
    if _DEVICE.fullmatch(name):
        return "it is a device's name"
    if name.endswith((_LOCK, _LOG)):
        return f"names that end with {_LOCK} or {_LOG} are taken"
    return None


def clear(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it; or nothing, where there is nothing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where the things of one name are."""

    name: str
    target: Path
    work: Path
    aside: Path
    """where the old build stands between two renames"""
    lock: Path


def _place(models: Path, name: str) -> _Place:
    check_name(name)
    staging = models / STAGING
    return _Place(
        name=name,
        target=models / name,
        work=staging / name,
        aside=staging / f"{name}{_ASIDE}",
        lock=staging / f"{name}{_LOCK}",
    )


@contextmanager
def _held(place: _Place) -> Iterator[None]:
    """Hold a name's lock, and put right what a killed holder left. The file stays: removing it would race."""
    with _complaining(place):
        place.lock.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        with _complaining(place):
            _lock(file, place)
            _put_right(place)
        yield
    finally:
        os.close(file)


def _lock(file: int, place: _Place) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ModelBusy(name=place.name) from error


def _put_right(place: _Place) -> None:
    if not os.path.lexists(place.aside):
        return
    if not os.path.lexists(place.target):
        place.aside.rename(place.target)
        return
    clear(place.work)
    place.aside.rename(place.work)  # at once: half an aside could come back when the name is free one day
    clear(place.work)


def _make_room(place: _Place, needs: int, resume: bool) -> None:
    """The folder to work in, when the name is free for a build and the disk large enough."""
    if place.target.exists() and not (place.target / "config.json").is_file():
        raise ModelNameTaken(path=place.target)  # a person put it there: it is not ours to replace
    if not resume:
        clear(place.work)
    place.work.mkdir(exist_ok=True)
    needs -= _weight(place.work)
    free = shutil.disk_usage(place.work).free
    if free < needs:
        raise DiskTooSmall(name=place.name, path=place.target.parent, needs=size(needs), free=size(free))


def _take_name(place: _Place, exchange: Swap) -> None:
    """The folder takes the name; the build that had it is where the folder was."""
    if not os.path.lexists(place.target):
        place.work.rename(place.target)
    elif not exchange(place.work, place.target):
        _exchange_in_steps(place)
    _sync(place.target.parent)


def _exchange_in_steps(place: _Place) -> None:
    """Where there is no exchange: for a moment nothing has the name. `restore` mends a kill in that moment."""
    place.target.rename(place.aside)
    try:
        place.work.rename(place.target)
    except OSError:
        place.aside.rename(place.target)
        raise
    place.aside.rename(place.work)


def _weight(folder: Path) -> int:
    """Bytes that go with a folder; with a link to one goes nothing."""
    files = () if folder.is_symlink() else folder.rglob("*")
    return sum(file.lstat().st_size for file in files if not file.is_dir())


def _to_disk(folder: Path) -> None:
    """A rename may reach the disk before the files do: after a power cut there would be a name with empty files."""
    for path in (*folder.rglob("*"), folder):
        _sync(path)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


@contextmanager
def _complaining(place: _Place) -> Iterator[None]:
    """What the disk says about the models' folder, as a sentence."""
    try:
        with _room_left(place):
            yield
    except OSError as error:
        raise ModelsUnwritable(path=place.target.parent, why=(error.strerror or str(error)).lower()) from error


@contextmanager
def _room_left(place: _Place) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(name=place.name, path=place.target.parent) from error
        raise
