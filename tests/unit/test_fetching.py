from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from pipeline.errors import ImageMissing
from pipeline.remote.cache import Kept
from pipeline.remote.fetcher import Fetcher, FetchLimits
from pipeline.remote.policy import Policy
from pipeline.remote.waiting import Stopped
from workers.child import Refused
from workers.fetching import Fetching

LIMITS = FetchLimits(policy=Policy(), folder=Path("/nowhere"), cache_bytes=1, max_bytes=1, seconds=1.0)


class FakeFetcher:
    """Fetches by calling a function with the address."""

    def __init__(self, fetch: Callable[[str], Any]) -> None:
        self.fetch = fetch
        self.stopped = threading.Event()
        self.closed = False

    def stop(self) -> None:
        self.stopped.set()

    def close(self) -> None:
        self.closed = True


def fetching(fake: FakeFetcher, threads: int = 2) -> Fetching:
    return Fetching(LIMITS, threads=threads, make=lambda limits: cast(Fetcher, fake))


def test_pictures_are_brought_and_refusals_have_their_codes() -> None:
    def fetch(address: str) -> str:
        if address == "gone":
            raise ImageMissing
        return address.upper()

    some = fetching(FakeFetcher(fetch))
    assert some.bring("a").result(10) == cast(Kept, "A")
    with pytest.raises(Refused) as caught:
        some.bring("gone").result(10)
    assert (caught.value.code, caught.value.message) == ("image_missing", "there is no such file")
    some.close()


def test_our_own_mistakes_are_raised_where_the_picture_is_looked_at() -> None:
    def fetch(address: str) -> str:
        raise KeyError(address)

    some = fetching(FakeFetcher(fetch))
    with pytest.raises(KeyError):
        some.bring("a").result(10)
    some.close()


def test_so_many_at_once_and_the_others_wait_their_turn() -> None:
    together = threading.Barrier(3)  # two that fetch, and this test
    most = at_once = 0
    lock = threading.Lock()

    def fetch(address: str) -> str:
        nonlocal most, at_once
        with lock:
            at_once += 1
            most = max(most, at_once)
        together.wait(10)
        with lock:
            at_once -= 1
        return address

    some = fetching(FakeFetcher(fetch))
    futures = [some.bring(str(number)) for number in range(6)]
    for _ in range(3):
        together.wait(10)
    assert [str(future.result(10)) for future in futures] == list("012345")
    assert most == 2
    some.close()


def test_what_was_given_up_is_not_fetched() -> None:
    begun, onward = threading.Event(), threading.Event()
    asked = []

    def fetch(address: str) -> str:
        asked.append(address)
        begun.set()
        onward.wait(10)
        return address

    some = fetching(FakeFetcher(fetch), threads=1)
    first, second, third = (some.bring(address) for address in "abc")
    begun.wait(10)
    assert not first.cancel() and second.cancel()
    onward.set()
    assert third.result(10) == cast(Kept, "c")
    assert asked == ["a", "c"]
    some.close()


def test_closing_ends_what_is_fetched_and_joins() -> None:
    begun = threading.Event()

    def fetch(address: str) -> str:
        begun.set()
        assert fake.stopped.wait(10)
        raise Stopped

    fake = FakeFetcher(fetch)
    some = fetching(fake)
    future = some.bring("a")
    begun.wait(10)
    some.close()
    assert fake.closed and isinstance(future.exception(0), Stopped)


def test_without_anything_to_fetch_nothing_is_made() -> None:
    fake = FakeFetcher(str.upper)
    fetching(fake).close()
    assert not fake.stopped.is_set() and not fake.closed
