"""A name as someone wrote it, in a manifest or on the command line, becomes a picture.

    cat.jpg, /data/cat.jpg       a path, relative to the manifest's folder
    shard.tar#000017.jpg         a member of an archive, unless a file has all of this as its name
    file:///data/cat%201.jpg     a path as an address; its fragment is a member
    https://..., s3://...        an address, if the settings allow it

Whoever wrote it is not trusted: what lies outside of the allowed folders is refused, links followed.
"""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from pipeline.archives.members import plain_name
from pipeline.errors import ForbiddenPath, ForbiddenUrl, RowInvalid
from pipeline.locators import Picture, parted
from pipeline.remote.policy import Policy
from pipeline.settings import Settings

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://|(file|data):", re.IGNORECASE)
_HERE = ("", "localhost")
_LONGEST = 1 << 14


def picture(name: str, base: Path | None, settings: Settings) -> Picture:
    """The picture of that name; paths start from `base`, or from the current folder.

    Raises RowInvalid, ForbiddenPath or ForbiddenUrl. A file that is not there is a picture too: its job says so.
    """
    _check(name)
    address = _ADDRESS.match(name)
    if address is None:
        return _at(*parted(os.path.join(base or "", name)), settings)
    scheme = (address[1] or address[2]).lower()
    if scheme == "file":
        return _at(*_of_file_url(name), settings)
    if scheme == "data":
        raise RowInvalid(why="a picture inside of a row (data:) can only stand in a batch file of the OpenAI form")
    _policy(settings).check(name)
    return Picture(scheme + name[len(scheme) :])


def is_elsewhere(name: str) -> bool:
    """Whether a name on the command line is no path: an address, or a member of an archive."""
    return bool(_ADDRESS.match(name)) or parted(name)[1] is not None


def check_member(name: str) -> None:
    """Refuse names with which an archive tries to lead out of itself."""
    if "\0" in name:
        raise ForbiddenPath(why="its name in the archive holds a NUL byte")
    if name.startswith("/") or os.pardir in name.split("/"):
        raise ForbiddenPath(why="its name leads out of the archive")


def _check(name: str) -> None:
    if not name.strip():
        raise RowInvalid(why="it names no picture")
    if "\0" in name:
        raise RowInvalid(why="the name of the picture holds a NUL byte")
    if len(name) > _LONGEST:
        raise RowInvalid(why=f"the name of the picture has {len(name):,} characters")
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        raise RowInvalid(why="the name of the picture is no text that a file could be called by") from None


def _of_file_url(url: str) -> tuple[str, str | None]:
    if not url.isprintable():  # what takes addresses apart drops line breaks without a word
        raise RowInvalid(why="the address holds characters that must be percent-encoded")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise RowInvalid(why=f"the address cannot be read ({error})") from None
    if parts.netloc.lower() not in _HERE:
        raise ForbiddenUrl(why="a file: address names a file of this machine, as in file:///data/cat.jpg")
    if not parts.path.startswith("/") or parts.query:
        raise RowInvalid(why="a file: address has a whole path and nothing behind it, as in file:///data/cat.jpg")
    path = "/" + _decoded(parts.path).lstrip("/")
    member = _decoded(parts.fragment) or None
    return path, member


def _decoded(text: str) -> str:
    decoded = os.fsdecode(unquote_to_bytes(text))
    if "\0" in decoded:
        raise RowInvalid(why="the name of the picture holds a NUL byte")
    return decoded


def _at(path: str, member: str | None, settings: Settings) -> Picture:
    if settings.allowed_roots is not None and not _is_below(os.path.realpath(path), settings.allowed_roots):
        raise ForbiddenPath
    if member is not None:
        member = os.fsdecode(plain_name(os.fsencode(member)))
        check_member(member)
    return Picture.at(path, settings.media_root, member)


def _is_below(path: str, roots: tuple[Path, ...]) -> bool:
    return path.startswith(_real(roots))


@functools.lru_cache(maxsize=8)  # of a million rows, each would follow the links of all roots again
def _real(roots: tuple[Path, ...]) -> tuple[str, ...]:
    return tuple(os.path.join(os.path.realpath(root), "") for root in roots)


@functools.lru_cache(maxsize=8)
def _policy(settings: Settings) -> Policy:
    return Policy.of(settings)
