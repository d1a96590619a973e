from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipeline.errors import FetchFailed, ForbiddenUrl, ImageMissing, ImageTooLarge
from pipeline.remote.cache import FRESH_S, Cache, Kept
from pipeline.remote.fetcher import LONGEST_PAUSE_S, TRIES, Fetcher, FetchLimits
from pipeline.remote.policy import Policy
from pipeline.remote.source import Hiccup, Reply, Tag
from pipeline.remote.urls import Url
from pipeline.remote.waiting import Stopped, Waiting

URL = "https://example.org/a.jpg"


@dataclass
class Scripted:
    """A source that answers as it was told to, in order."""

    replies: list[Reply | Exception] = field(default_factory=list)
    asked: list[tuple[str, Tag]] = field(default_factory=list)

    @contextmanager
    def open(self, url: Url, known: Tag, waiting: Waiting) -> Iterator[Reply]:
        self.asked.append((str(url), known))
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        yield reply

    def close(self) -> None:
        self.asked.clear()


@dataclass
class Clock:
    now: float = 1_800_000_000.0
    pauses: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def waiting(self, seconds: float, stop: threading.Event) -> Waiting:
        clock = self

        class Quick(Waiting):
            def pause(self, seconds: float) -> None:
                clock.pauses.append(seconds)
                clock.now += seconds
                self.left()

        return Quick(seconds, stop, self)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source() -> Scripted:
    return Scripted()


@pytest.fixture
def fetcher(tmp_path: Path, clock: Clock, source: Scripted) -> Fetcher:
    limits = FetchLimits(
        policy=Policy(frozenset({"example.org", "s3://bucket"})),
        folder=tmp_path / "cache",
        cache_bytes=10_000,
        max_bytes=100,
        seconds=60.0,
    )
    cache = Cache(limits.folder, limits.cache_bytes, clock)
    return Fetcher(limits, cache, source, Scripted([some(b"stored")]), jitter=lambda: 0.5, wait=clock.waiting)


def some(*chunks: bytes, etag: str | None = None, size: int | None = None) -> Reply:
    return Reply(tag=Tag(etag), chunks=iter(chunks), size=size)


def contents(kept: Kept) -> bytes:
    with kept:
        return kept.path.read_bytes()


def test_a_picture_is_fetched_once(fetcher: Fetcher, source: Scripted) -> None:
    source.replies = [some(b"one", b"two")]
    assert [contents(fetcher.fetch(URL)) for _ in range(2)] == [b"onetwo"] * 2
    assert source.asked == [(URL, Tag())]


def test_buckets_come_from_the_stores(fetcher: Fetcher, source: Scripted) -> None:
    assert contents(fetcher.fetch("s3://bucket/a.jpg")) == b"stored"
    assert source.asked == []


def test_what_is_not_allowed_is_not_asked_for_even_if_it_is_kept(fetcher: Fetcher, source: Scripted) -> None:
    for url in ("https://example.net/a", "https://example.org/a?sig=1", "file:///etc/passwd"):
        fetcher._cache.keep(url, Tag(), [b"known"]).close()
        with pytest.raises(ForbiddenUrl):
            fetcher.fetch(url)
    assert source.asked == []


def test_later_the_server_says_whether_it_has_changed(fetcher: Fetcher, source: Scripted, clock: Clock) -> None:
    source.replies = [some(b"old", etag='"1"'), Reply(unchanged=True), some(b"new", etag='"2"')]
    assert contents(fetcher.fetch(URL)) == b"old"
    clock.now += FRESH_S
    assert contents(fetcher.fetch(URL)) == b"old"
    assert contents(fetcher.fetch(URL)) == b"old", "confirmed just now"
    clock.now += FRESH_S
    assert contents(fetcher.fetch(URL)) == b"new"
    assert [known for _, known in source.asked] == [Tag(), Tag('"1"'), Tag('"1"')]


def test_nothing_has_changed_cannot_be_the_first_answer(fetcher: Fetcher, source: Scripted) -> None:
    source.replies = [Reply(unchanged=True)]
    with pytest.raises(FetchFailed, match="nothing was known"):
        fetcher.fetch(URL)


def test_what_may_work_the_next_time_is_tried_again_after_longer_and_longer(
    fetcher: Fetcher, source: Scripted, clock: Clock
) -> None:
    source.replies = [Hiccup("busy"), Hiccup("busy", after=7.0), Hiccup("busy"), some(b"bytes")]
    assert contents(fetcher.fetch(URL)) == b"bytes"
    assert clock.pauses == [0.5, 7.0, 2.0]


def test_after_a_few_tries_the_job_waits_instead(fetcher: Fetcher, source: Scripted, clock: Clock) -> None:
    source.replies = [Hiccup("the server answered 503")] * 9
    with pytest.raises(FetchFailed, match="could not be fetched: the server answered 503"):
        fetcher.fetch(URL)
    assert len(source.asked) == TRIES and clock.pauses == [0.5, 1.0, 2.0]


def test_a_server_that_wants_a_long_pause_gets_it_from_the_job(
    fetcher: Fetcher, source: Scripted, clock: Clock
) -> None:
    source.replies = [Hiccup("busy", after=LONGEST_PAUSE_S + 1)]
    with pytest.raises(FetchFailed):
        fetcher.fetch(URL)
    assert len(source.asked) == 1 and clock.pauses == []


def test_pauses_do_not_exceed_the_time_there_is(fetcher: Fetcher, source: Scripted, clock: Clock) -> None:
    source.replies = [Hiccup("busy", after=25.0)] * 9
    with pytest.raises(FetchFailed):
        fetcher.fetch(URL)
    assert clock.pauses == [25.0, 25.0]


def test_jitter_spreads_the_tries(tmp_path: Path, source: Scripted, clock: Clock) -> None:
    for jitter, pause in ((0.0, 0.25), (1.0, 0.75)):
        limits = FetchLimits(
            policy=Policy(frozenset({"example.org"})), folder=tmp_path, cache_bytes=9, max_bytes=9, seconds=60.0
        )
        cache = Cache(tmp_path / str(jitter), 9, clock)
        one = Fetcher(limits, cache, source, source, jitter=lambda jitter=jitter: jitter, wait=clock.waiting)  # type: ignore[misc]
        source.replies = [Hiccup("busy"), some(b"bytes")]
        one.fetch(URL).close()
        assert clock.pauses.pop() == pause


@pytest.mark.parametrize("error", [ImageMissing(), FetchFailed(why="no"), ForbiddenUrl(why="no")])
def test_what_another_try_cannot_help_is_not_tried_again(fetcher: Fetcher, source: Scripted, error: Exception) -> None:
    source.replies = [error]
    with pytest.raises(type(error)):
        fetcher.fetch(URL)


def test_a_picture_that_is_too_large_is_refused_before_and_while_it_comes(fetcher: Fetcher, source: Scripted) -> None:
    read = 0

    def endless() -> Iterable[bytes]:
        nonlocal read
        while True:
            read += 1
            yield bytes(10)

    source.replies = [some(b"x", size=101), Reply(size=5, chunks=endless()), some(bytes(100))]
    with pytest.raises(ImageTooLarge, match="101 bytes, the limit is 100"):
        fetcher.fetch(URL)
    with pytest.raises(ImageTooLarge, match="more than 100 bytes"):
        fetcher.fetch(URL)
    assert read == 11
    assert contents(fetcher.fetch(URL)) == bytes(100)


def test_a_disk_that_refuses_is_a_sentence(fetcher: Fetcher, source: Scripted, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    source.replies = [some(b"bytes")]
    with pytest.raises(FetchFailed, match="cache: not a directory"):
        fetcher.fetch(URL)


def test_a_stop_ends_pauses_and_what_comes(fetcher: Fetcher, source: Scripted) -> None:
    source.replies = [Hiccup("busy"), some(b"bytes")]
    fetcher.stop()
    with pytest.raises(Stopped):
        fetcher.fetch(URL)


def test_waiting_has_an_end(clock: Clock) -> None:
    waiting = Waiting(10.0, threading.Event(), clock)
    assert waiting.left() == 10.0 and waiting.allows(9.0) and not waiting.allows(10.0)
    clock.now += 10.0
    with pytest.raises(FetchFailed, match="longer than 10 s"):
        waiting.left()
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        Waiting(10.0, stop).pause(10.0)
