"""workers.pictures: the way of a picture that must be fetched first, with nothing but futures around it."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import pytest

from pipeline.locators import Picture
from pipeline.remote.cache import Cache, Kept
from pipeline.remote.source import Tag
from workers.child import Refused
from workers.decoders import Decoded, Decoders
from workers.fetching import Fetching
from workers.pictures import Pictures
from workers.pixels import Pixels

REMOTE, LOCAL = Picture("https://example.org/a.jpg"), Picture("file:///a.jpg")
DECODED = Decoded(sha256=bytes(32), bytes=3, width=2, height=1, format="BMP", size=3, mtime_ns=1, seconds=0.0)


class Around:
    """What a shelf has around it: everything asked of it waits for the test."""

    full = busy = False
    room = 100

    def __init__(self) -> None:
        self.fetches: dict[str, Future[Kept]] = {}
        self.decodes: dict[str, Future[Decoded]] = {}
        self.taken = 0

    def bring(self, address: str) -> Future[Kept]:
        return self.fetches.setdefault(address, Future())

    def decode(self, path: str, *place: object) -> Future[Decoded]:
        return self.decodes.setdefault(path, Future())

    def take(self, **how: bool) -> int:
        self.taken += 1
        return self.taken

    def free(self, offset: int) -> None:
        self.taken -= 1

    def filled(self, *facts: int) -> None: ...
    def tend(self) -> None: ...
    def receive(self) -> None: ...


@pytest.fixture
def around() -> Around:
    return Around()


@pytest.fixture
def shelf(around: Around) -> Pictures:
    parts: Any = around
    return Pictures(cast(Decoders, parts), cast(Pixels, parts), None, fetching=cast(Fetching, parts))


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Cache(tmp_path, 1).keep(REMOTE.locator, Tag(), [b"abc"])


def tend(shelf: Pictures) -> None:
    shelf.tend(standing_still=False)


def test_a_fetched_file_is_decoded_and_then_let_go(shelf: Pictures, around: Around, kept: Kept, tmp_path: Path) -> None:
    loaded = shelf.want(REMOTE, lambda: None)
    tend(shelf)
    assert not around.decodes and around.taken == 0, "it holds no place for pixels yet"
    around.fetches[REMOTE.locator].set_result(kept)
    tend(shelf)
    Cache(tmp_path, 1).tidy()
    assert kept.path.exists(), "a decoder reads it"
    around.decodes[str(kept.path)].set_result(DECODED)
    tend(shelf)
    assert loaded.settled and loaded.read and not loaded.read.changed
    Cache(tmp_path, 1).tidy()
    assert not kept.path.exists()


def test_local_pictures_go_on_meanwhile(shelf: Pictures, around: Around) -> None:
    shelf.want(REMOTE, lambda: None)
    shelf.want(LOCAL, lambda: None)
    tend(shelf)
    assert [*around.decodes] == ["/a.jpg"] and shelf.fetching == 1


def test_who_waits_is_woken_from_the_other_thread(shelf: Pictures, around: Around) -> None:
    woken = threading.Event()
    settled: list[str] = []
    shelf.wake_with(woken.set)
    loaded = shelf.want(REMOTE, lambda: settled.append("settled"))
    refused = Refused("image_missing", "there is no such file")
    threading.Thread(target=lambda: around.fetches[REMOTE.locator].set_exception(refused)).start()
    assert woken.wait(10) and not settled, "what settles it is this thread"
    tend(shelf)
    assert settled and loaded.refusal is refused and shelf.fetching == 0


def test_a_fetch_that_nobody_wants_any_more_is_given_up(shelf: Pictures, around: Around) -> None:
    shelf.release(shelf.want(REMOTE, lambda: None))
    assert around.fetches[REMOTE.locator].cancelled()
    tend(shelf)
    assert shelf.fetching == 0 and not around.decodes


def test_what_comes_too_late_goes_back_to_the_cache(
    shelf: Pictures, around: Around, kept: Kept, tmp_path: Path
) -> None:
    loaded = shelf.want(REMOTE, lambda: None)
    around.fetches[REMOTE.locator].set_running_or_notify_cancel()
    shelf.release(loaded)
    around.fetches[REMOTE.locator].set_result(kept)
    tend(shelf)
    assert not around.decodes and around.taken == 0
    Cache(tmp_path, 1).tidy()
    assert not kept.path.exists()


def test_our_own_mistakes_end_the_worker(shelf: Pictures, around: Around) -> None:
    shelf.want(REMOTE, lambda: None)
    around.fetches[REMOTE.locator].set_exception(KeyError("mistake"))
    with pytest.raises(KeyError):
        tend(shelf)
