"""Object stores as a source, opened by fsspec with what the environment says of credentials and endpoints.

Which server that is, is for whoever runs the worker to say and not for an address: so buckets are allowed, and
their servers may lie in private networks.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from typing import Any

from pipeline.errors import FetchFailed, ImageMissing
from pipeline.locators import printable
from pipeline.remote.doorway import CONNECT_S, SILENCE_S
from pipeline.remote.source import Hiccup, Reply, Tag
from pipeline.remote.urls import OBJECT_STORES, Url
from pipeline.remote.waiting import Waiting

_PIECE = 1 << 20
_AHEAD = 8 << 20
"""Most pictures come with one request."""
_LONGEST_REASON = 200

_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {
        "config_kwargs": {
            "connect_timeout": CONNECT_S,
            "read_timeout": SILENCE_S,
            "retries": {"max_attempts": 1},  # tries are counted here
            "proxies": {},  # none that the environment names for other programs
        }
    }
}


class Stores:
    """`s3://`, and those others whose package is installed."""

    @contextmanager
    def open(self, url: Url, known: Tag, waiting: Waiting) -> Iterator[Reply]:
        path = f"{url.host}{url.path}"
        with hiccups():
            store = system(url.scheme)
            facts = store.info(path)
        waiting.left()
        if facts["type"] != "file":
            raise ImageMissing
        tag = _tag(facts)
        if tag == known != Tag():
            yield Reply(unchanged=True)
            return
        with hiccups():
            file = store.open(path, "rb", block_size=_AHEAD, cache_type="readahead")
        with closing(file):
            yield Reply(tag=tag, size=facts["size"], chunks=_pieces(file, waiting))

    def close(self) -> None:
        """Nothing: what fsspec has open it closes itself."""


@cache
def system(scheme: str) -> Any:
    """The file system of a scheme, in fsspec's words."""
    try:
        import fsspec

        return fsspec.filesystem(scheme, use_listings_cache=False, **_OPTIONS.get(scheme, {}))
    except ImportError as error:
        packages = "'pixmill[remote]'" if scheme == "s3" else f"fsspec {OBJECT_STORES[scheme]}"
        install = f"{sys.executable} -m pip install {packages}"
        raise FetchFailed(why=f"{scheme}:// needs packages that are not installed here: {install}") from error


def _tag(facts: dict[str, Any]) -> Tag:
    """What stays the same as long as the object does, each store calling it its own way."""
    etag = next((str(facts[name]) for name in ("ETag", "etag", "md5Hash") if facts.get(name)), None)
    return Tag(etag=etag)


def _pieces(file: Any, waiting: Waiting) -> Iterator[bytes]:
    while True:
        with hiccups():
            piece = file.read(_PIECE)
        if not piece:
            return
        yield piece
        waiting.left()


@contextmanager
def hiccups() -> Iterator[None]:
    """What goes wrong in a store, whose packages have errors of their own, as something that may work later."""
    try:
        yield
    except FetchFailed:
        raise
    except FileNotFoundError as error:
        raise ImageMissing from error
    except PermissionError as error:
        raise FetchFailed(why=f"the store refuses it ({_line(error)}); look at the worker's credentials") from error
    except Exception as error:
        raise Hiccup(f"{type(error).__name__}: {_line(error)}") from error


def _line(error: Exception) -> str:
    """What an error says, without what may give access."""
    return re.sub(r"\?\S*", "", printable(" ".join(str(error).split())))[:_LONGEST_REASON]
