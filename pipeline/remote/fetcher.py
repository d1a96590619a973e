"""The fetcher: brings the picture of an address into the cache, within its limits."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pipeline.errors import FetchFailed, ImageTooLarge
from pipeline.remote.cache import Cache, Kept
from pipeline.remote.policy import Policy
from pipeline.remote.source import Hiccup, Reply, Source, Tag
from pipeline.remote.urls import WEB, parse
from pipeline.remote.waiting import Waiting
from pipeline.settings import Settings

TRIES = 4
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
"""A server that wants a longer pause is asked again when the job is tried again."""


@dataclass(frozen=True, kw_only=True)
class FetchLimits:
    """What may be fetched, where it is kept, and what one picture may cost."""

    policy: Policy
    folder: Path
    cache_bytes: int
    max_bytes: int
    seconds: float

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            policy=Policy.of(settings),
            folder=settings.fetched,
            cache_bytes=settings.fetch_cache_bytes,
            max_bytes=settings.max_picture_bytes,
            seconds=settings.fetch_seconds,
        )


class Fetcher:
    """Fetches for several threads at once. What is kept already is asked about, and fetched only if it has changed."""

    def __init__(
        self,
        limits: FetchLimits,
        cache: Cache,
        web: Source,
        stores: Source,
        *,
        jitter: Callable[[], float] = random.random,
        wait: Callable[[float, threading.Event], Waiting] = Waiting,
    ) -> None:
        self._limits, self._jitter, self._wait = limits, jitter, wait
        self._cache, self._web, self._stores = cache, web, stores
        self._stop = threading.Event()

    @classmethod
    def of(cls, limits: FetchLimits) -> Self:
        """One that goes to the network."""
        from pipeline.remote.doorway import Doorway
        from pipeline.remote.stores import Stores
        from pipeline.remote.web import Web

        cache = Cache(limits.folder, limits.cache_bytes)
        return cls(limits, cache, Web(limits.policy, Doorway(limits.policy)), Stores())

    def fetch(self, address: str) -> Kept:
        """The picture, in the cache until that is closed. Raises JobError, or Stopped once `stop` was called."""
        self._limits.policy.check(address)
        known = self._cache.find(address)
        if known and known.fresh:
            return known
        try:
            kept = self._with_patience(address, known)
        except BaseException:
            if known:
                known.close()
            raise
        if known and kept is not known:
            known.close()
        return kept

    def stop(self) -> None:
        """End what is being fetched, and all that would be."""
        self._stop.set()

    def close(self) -> None:
        self.stop()
        self._web.close()
        self._stores.close()

    def _with_patience(self, address: str, known: Kept | None) -> Kept:
        """Try until it works, for as long as one picture may take."""
        waiting = self._wait(self._limits.seconds, self._stop)
        for pause in self._pauses():
            try:
                return self._try(address, known, waiting)
            except Hiccup as hiccup:
                longest = max(pause, hiccup.after)
                if longest > LONGEST_PAUSE_S or not pause or not waiting.allows(longest):
                    raise FetchFailed(why=hiccup.why) from hiccup
                waiting.pause(longest)
            except OSError as error:
                raise FetchFailed(why=f"{self._limits.folder}: {(error.strerror or str(error)).lower()}") from error
        raise AssertionError("the last pause is none")

    def _pauses(self) -> Iterator[float]:
        """Each about twice the one before: many workers that lost a server together do not come back together."""
        for number in range(TRIES - 1):
            yield FIRST_PAUSE_S * 2.0**number * (0.5 + self._jitter())
        yield 0.0

    def _try(self, address: str, known: Kept | None, waiting: Waiting) -> Kept:
        url = parse(address)
        source = self._web if url.scheme in WEB else self._stores
        with source.open(url, known.tag if known else Tag(), waiting) as reply:
            if not reply.unchanged:
                return self._cache.keep(address, reply.tag, self._bounded(reply))
        if known is None:
            raise FetchFailed(why="the server says that nothing has changed, and nothing was known")
        self._cache.confirm(address)
        return known

    def _bounded(self, reply: Reply) -> Iterable[bytes]:
        """The bytes, counted as they come: what a server says of their number need not be true."""
        most, got = self._limits.max_bytes, 0
        if reply.size is not None and reply.size > most:
            raise ImageTooLarge(why=f"{reply.size:,} bytes, the limit is {most:,}")
        for chunk in reply.chunks:
            got += len(chunk)
            if got > most:
                raise ImageTooLarge(why=f"more than {most:,} bytes")
            yield chunk
