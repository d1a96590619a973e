"""What lies below a prefix of an object store, looked at folder by folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline.errors import FetchFailed
from pipeline.remote.source import Hiccup
from pipeline.remote.stores import hiccups, system
from pipeline.remote.urls import parse

_NS = 10**9


@dataclass(frozen=True, slots=True)
class Found:
    """An object: its address, and what the store tells of it."""

    address: str
    size: int | None
    mtime_ns: int | None


def below(prefix: str, *, recursive: bool) -> Iterator[Found]:
    """The objects below a prefix, in each folder by name. Raises FetchFailed or ImageMissing."""
    url = parse(prefix)
    waiting = [f"{url.host}{url.path}".rstrip("/")]
    while waiting:
        folder = waiting.pop()
        inside = _listed(url.scheme, folder)
        folders = [name for name, facts in inside if facts["type"] == "directory" and name != folder]
        waiting += reversed(folders) if recursive else ()
        for name, facts in inside:
            if facts["type"] == "file" and name != folder:
                yield Found(f"{url.scheme}://{name}", facts.get("size"), _mtime_ns(facts))


def _listed(scheme: str, folder: str) -> list[tuple[str, dict[str, Any]]]:
    try:
        with hiccups():
            found = system(scheme).ls(folder, detail=True)
    except Hiccup as hiccup:
        raise FetchFailed(why=hiccup.why) from hiccup
    return sorted(((facts["name"].rstrip("/"), facts) for facts in found), key=lambda named: named[0])


def _mtime_ns(facts: dict[str, Any]) -> int | None:
    moment = facts.get("LastModified")
    return int(moment.timestamp() * _NS) if isinstance(moment, datetime) else None
