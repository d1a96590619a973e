"""Fetching from a real web server on loopback, which misbehaves as real ones do."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import FetchFailed, ForbiddenUrl, ImageMissing, ImageTooLarge, JobError
from pipeline.remote.cache import Cache, Kept
from pipeline.remote.doorway import Doorway
from pipeline.remote.fetcher import Fetcher, FetchLimits
from pipeline.remote.policy import Policy
from pipeline.remote.stores import Stores
from pipeline.remote.urls import allowed
from pipeline.remote.waiting import Stopped
from pipeline.remote.web import Web
from tests.web import Hold, Page, Site, certificates, site

MOST = 100_000
NAMES = ("http://127.0.0.1", "http://pictures.example.org")


def fetcher(
    folder: Path,
    *domains: str,
    private: bool = True,
    seconds: float = 20.0,
    tls: ssl.SSLContext | None = None,
) -> Fetcher:
    """One that finds every name on loopback and never sees anything as fresh."""
    policy = Policy(frozenset(map(allowed, domains or NAMES)), private)
    limits = FetchLimits(policy=policy, folder=folder, cache_bytes=10 * MOST, max_bytes=MOST, seconds=seconds)
    doorway = Doorway(policy, lambda host, port: ["127.0.0.1"])
    ages = iter(range(0, 1 << 40, 1000))
    cache = Cache(folder, limits.cache_bytes, lambda: float(next(ages)))
    return Fetcher(limits, cache, Web(policy, doorway, tls=tls), Stores(), jitter=lambda: -0.49)


@pytest.fixture
def server() -> Iterator[Site]:
    with site() as made:
        yield made


@pytest.fixture
def some(tmp_path: Path) -> Iterator[Fetcher]:
    made = fetcher(tmp_path / "cache")
    yield made
    made.close()


def contents(kept: Kept) -> bytes:
    with kept:
        return kept.path.read_bytes()


def bytes_left(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.suffix != ".json")


def test_a_picture_comes_and_the_connection_stays(server: Site, some: Fetcher) -> None:
    for number in range(3):
        assert contents(some.fetch(server.add(f"/{number}.jpg", b"bytes"))) == b"bytes"
    assert server.connections == 1
    path, headers = server.asked[0]
    assert (path, headers["Host"], headers["Accept-Encoding"]) == ("/0.jpg", server.url[7:], "identity")
    assert headers["User-Agent"].startswith("pixmill/")
    assert not {"Cookie", "Authorization", "Referer"} & headers.keys()


def test_the_server_hears_the_name_and_not_the_address(server: Site, some: Fetcher) -> None:
    url = server.add("/a b/é.jpg?w=1", b"bytes").replace("127.0.0.1", "pictures.example.org")
    server.add("/a%20b/%C3%A9.jpg?w=1", b"bytes")
    assert contents(some.fetch(url)) == b"bytes"
    assert server.asked[0][1]["Host"] == url.split("/")[2]


def test_what_has_not_changed_is_not_sent_again(server: Site, some: Fetcher) -> None:
    tag = {"ETag": '"1"', "Last-Modified": "Fri, 20 Nov 2026 10:00:00 GMT"}
    url = server.add("/a.jpg", b"old", headers=tag)
    assert [contents(some.fetch(url)) for _ in range(2)] == [b"old", b"old"]
    server.add("/a.jpg", b"new", headers={"ETag": '"2"'})
    assert contents(some.fetch(url)) == b"new"
    conditions = [(asked.get("If-None-Match"), asked.get("If-Modified-Since")) for _, asked in server.asked]
    assert conditions == [(None, None), tuple(tag.values()), tuple(tag.values())]


@pytest.mark.parametrize(
    ("page", "error"),
    [
        (Page(bytes(MOST + 1)), ImageTooLarge),
        (Page(bytes(1000), length=-1, endless=True), ImageTooLarge),
        (Page(b"short", length=1000), FetchFailed),
        (Page(bytes(1000), cut=10), FetchFailed),
        (Page(status=404), ImageMissing),
        (Page(status=403), FetchFailed),
        (Page(status=500), FetchFailed),
        (Page(status=302, headers={"Location": "/page"}), FetchFailed),
        (Page(status=302, headers={"Location": "https://127.0.0.1:1/?token=hunter2"}), FetchFailed),
        (Page(status=302, headers={"Location": "http://example.net/?token=hunter2"}), ForbiddenUrl),
        (Page(b"packed", headers={"Content-Encoding": "br"}), FetchFailed),
    ],
    ids=["large", "endless", "short", "cut", "404", "403", "500", "loop", "refused", "elsewhere", "packed"],
)
def test_what_comes_to_nothing_leaves_nothing(
    server: Site, some: Fetcher, tmp_path: Path, page: Page, error: type[JobError]
) -> None:
    server.pages["/page"] = page
    with pytest.raises(error) as caught:
        some.fetch(f"{server.url}/page")
    assert server.url not in str(caught.value) and "hunter2" not in str(caught.value)
    assert bytes_left(tmp_path) == 0


def test_of_what_is_longer_than_it_says_only_that_is_taken(server: Site, some: Fetcher) -> None:
    assert contents(some.fetch(server.add("/a", bytes(1000), length=10))) == bytes(10)


def test_trouble_that_passes_is_not_seen(server: Site, some: Fetcher) -> None:
    passing = [Page(status=429, headers={"Retry-After": "0"}), Page(status=503), Page(bytes(50), cut=7)]
    assert contents(some.fetch(server.add("/a", b"bytes", failing=passing))) == b"bytes"
    assert len(server.asked) == 4


def test_a_busy_server_gets_the_pause_it_wants(server: Site, tmp_path: Path) -> None:
    patient = fetcher(tmp_path, seconds=2.0)
    with pytest.raises(FetchFailed, match="answered 429"):
        patient.fetch(server.add("/a", status=429, headers={"Retry-After": "25"}))
    assert len(server.asked) == 1, "there is no time for so long a pause"
    patient.close()


def test_a_redirect_may_be_signed_since_it_is_stored_nowhere(server: Site, some: Fetcher) -> None:
    server.add("/b?X-Amz-Signature=hunter2", b"bytes")
    url = server.add("/a", status=302, headers={"Location": "/b?X-Amz-Signature=hunter2"})
    assert contents(some.fetch(url)) == b"bytes"


def test_a_server_that_stops_sending_is_given_up(server: Site, tmp_path: Path) -> None:
    hasty = fetcher(tmp_path / "cache", seconds=0.5)
    with pytest.raises(FetchFailed, match=r"longer than 0\.5 s"):
        hasty.fetch(server.add("/a", b"bytes", hold=Hold()))
    assert bytes_left(tmp_path) == 0
    hasty.close()


def test_a_stop_does_not_wait_for_a_silent_server(server: Site, some: Fetcher, tmp_path: Path) -> None:
    hold = Hold()
    url = server.add("/a", b"bytes", hold=hold)
    ended: list[Exception] = []

    def work() -> None:
        try:
            some.fetch(url)
        except Stopped as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    hold.reached.wait(10)
    some.stop()
    thread.join(10)
    assert not hold.onward.is_set() and len(ended) == 1 and bytes_left(tmp_path) == 0


def test_loopback_needs_a_word_of_its_own(server: Site, tmp_path: Path) -> None:
    strict = fetcher(tmp_path, private=False)
    for host in ("127.0.0.1", "pictures.example.org"):
        with pytest.raises(ForbiddenUrl, match=r"127\.0\.0\.1.* is a loopback address"):
            strict.fetch(server.add("/a", b"bytes").replace("127.0.0.1", host))
    assert server.connections == 0
    strict.close()


def test_proxies_of_the_environment_are_not_used(server: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    some = fetcher(tmp_path)
    assert contents(some.fetch(server.add("/a", b"bytes"))) == b"bytes"
    some.close()


# --- HTTPS ---------------------------------------------------------------------------------------


def test_a_certificate_is_the_name_s_though_the_address_is_ours(tmp_path: Path) -> None:
    tls, authority = certificates("pictures.example.org")
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with site(tls) as server:
        url = server.add("/a", b"bytes")
        some = fetcher(tmp_path, "pictures.example.org", "other.example.org", "127.0.0.1", tls=trusting)
        assert contents(some.fetch(url.replace("127.0.0.1", "pictures.example.org"))) == b"bytes"
        for host in ("other.example.org", "127.0.0.1"):
            with pytest.raises(FetchFailed, match="certificate is refused"):
                some.fetch(url.replace("127.0.0.1", host))
        some.close()


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    tls, _ = certificates("127.0.0.1")
    with site(tls) as server:
        some = fetcher(tmp_path, "127.0.0.1")
        with pytest.raises(FetchFailed, match="certificate is refused: unable to get local issuer"):
            some.fetch(server.add("/a", b"bytes"))
        some.close()
