"""Loose pictures: members of archives and fetched addresses, which are no files of their own, as bytes."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from urllib.parse import quote

from pipeline.archives.lookup import Archives
from pipeline.errors import JobError
from pipeline.export.order import Order
from pipeline.export.places import Places
from pipeline.export.texts import portable
from pipeline.locators import open_member, open_path
from pipeline.remote.cache import Cache
from pipeline.remote.urls import is_remote
from pipeline.sources.paths import is_picture
from pipeline.store.rows import PictureRow

_LONGEST = 100
"""bytes of a name that was changed; a digest and an ending follow"""
_PARTS = re.compile(r"(\w+)://([^/?]*)([^?]*)(.*)", re.DOTALL)
_KEPT = " !$&'()+,-.;=@~%"
"""what stands in an address as in a file's name; others mean something to shells, to Windows or to fsspec"""


class NotHad(Exception):
    """A picture that cannot be had; the text says which, in words that follow a number of items."""


class Loose:
    """Reads them as the order allows."""

    def __init__(self, order: Order) -> None:
        self._media_root = order.media_root
        self._most = order.max_picture_bytes or sys.maxsize
        roots = order.allowed_roots
        self._roots = None if roots is None else [os.path.realpath(os.fsencode(root)) for root in roots]
        self._archives = Archives()
        self._cache = None if order.fetched is None else Cache(order.fetched, sys.maxsize)

    def read(self, picture: PictureRow) -> bytes:
        """What a loose picture holds now. Raises NotHad."""
        member = open_member(picture.locator)
        return self._fetched(picture.locator) if member is None else self._member(picture.locator, member)

    def _member(self, locator: str, member: str) -> bytes:
        path = open_path(locator, self._media_root)
        if path is None:
            raise NotHad("about members of archives below a media root that is not set here")
        try:
            found = self._archives.read(os.fsencode(path), os.fsencode(member), max_bytes=self._most, roots=self._roots)
        except JobError as error:
            raise NotHad(f"about members of archives that cannot be read here ({error.code})") from error
        return found.data

    def _fetched(self, address: str) -> bytes:
        kept = self._cache.find(address) if self._cache else None
        if kept is None:
            raise NotHad("about addresses whose pictures are not among the fetched ones here")
        with kept:
            return kept.path.read_bytes()


def is_loose(picture: PictureRow) -> bool:
    return open_member(picture.locator) is not None or is_remote(picture.locator)


def placed(places: Places, picture: PictureRow) -> str:
    """A loose picture's place in a folder: under its own name, or one that no other picture has."""
    member = open_member(picture.locator)
    plain = _address(picture.locator) if member is None else portable(places.mirrored(picture))
    is_own = is_picture(plain) and plain.endswith(f"/{_path(picture.locator) if member is None else member}")
    return plain if is_own else _apart(plain, picture)


def _address(locator: str) -> str:
    """Without the query, which may be long and hold what others should not read."""
    scheme, host, path, _ = _taken_apart(locator)
    parts = [quote(part, safe=_KEPT)[:_LONGEST] for part in path.split("/") if part not in ("", ".", "..")]
    return "/".join([f"_{scheme}", quote(host, safe=_KEPT), *parts])


def _path(locator: str) -> str:
    _, _, path, query = _taken_apart(locator)
    return path[1:] + query


def _taken_apart(locator: str) -> tuple[str, ...]:
    found = _PARTS.fullmatch(locator)
    assert found is not None, locator
    return found.groups()


def _apart(plain: str, picture: PictureRow) -> str:
    folder, _, name = plain.rpartition("/")
    stem, ending = os.path.splitext(name) if is_picture(name) else (name, f".{(picture.format or 'bin').lower()}")
    digest = hashlib.blake2b(os.fsencode(picture.locator), digest_size=8).hexdigest()
    short = os.fsencode(stem)[:_LONGEST].decode("utf-8", "ignore")
    return f"{folder}/{short}-{digest}{ending}"
