from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import FetchFailed, ForbiddenUrl, ImageMissing
from pipeline.remote.addresses import why_private
from pipeline.remote.doorway import Doorway, patient
from pipeline.remote.policy import Policy
from pipeline.remote.source import Hiccup, Tag
from pipeline.remote.urls import allowed, parse
from pipeline.remote.waiting import Stopped, Waiting
from pipeline.remote.web import MOST_REDIRECTS, Web

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
TLS = ssl.create_default_context()  # which takes long to make
OPEN, INSIDE = "93.184.216.34", "10.0.0.1"


def redirect(location: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


@dataclass
class Wires(httpcore.NetworkBackend):
    """No network: what was connected to, and what each connection answers."""

    answers: list[bytes | Exception] = field(default_factory=list)
    connected: list[str] = field(default_factory=list)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        self.connected.append(host)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return httpcore.MockStream([answer])


@dataclass
class Names:
    """Name servers: each look at a name gives the next answer, the last one for ever."""

    known: dict[str, list[Sequence[str]]]
    looked: list[str] = field(default_factory=list)

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.looked.append(host)
        answers = self.known.get(host)
        if not answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return answers.pop(0) if len(answers) > 1 else answers[0]


def web(wires: Wires, names: Names, *domains: str) -> Web:
    policy = Policy(frozenset(map(allowed, domains or ("example.org", "http://example.org"))))
    return Web(policy, Doorway(policy, names, wires), tls=TLS)


@contextmanager
def got(web: Web, url: str, waiting: Waiting | None = None) -> Iterator[bytes]:
    with web.open(parse(url), Tag(), waiting or Waiting(60.0)) as reply:
        yield b"".join(reply.chunks)


def fetch(web: Web, url: str) -> bytes:
    with got(web, url) as data:
        return data


def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    wires, names = Wires([OK]), Names({"example.org": [[OPEN], [INSIDE]]})
    assert fetch(web(wires, names), "https://example.org/a") == b"hello"
    assert (wires.connected, names.looked) == ([OPEN], ["example.org"])


def test_a_name_that_is_bound_anew_is_refused() -> None:
    wires, names = Wires([redirect("https://example.org/b")]), Names({"example.org": [[OPEN], [INSIDE]]})
    with pytest.raises(ForbiddenUrl, match=r"10\.0\.0\.1"):
        fetch(web(wires, names), "https://example.org/a")
    assert wires.connected == [OPEN]


@given(st.ip_addresses().map(str), st.booleans())
def test_no_connection_is_made_to_what_is_private(address: str, first: bool) -> None:
    wires = Wires([OK])
    names = Names({"example.org": [[address, OPEN] if first else [OPEN, address]]})
    try:
        fetch(web(wires, names), "https://example.org/a")
    except ForbiddenUrl:
        assert wires.connected == [] and why_private(address)
    else:
        assert why_private(address) is None


@pytest.mark.parametrize(
    "location",
    [
        "https://10.0.0.1/", "https://[::ffff:10.0.0.1]/", "https://inside.net/", "https://2130706433/", "//127.0.0.1/",
        "file:///etc/passwd", "s3://bucket/key", "gopher://example.org/", "https://example.org@10.0.0.1/",
        "ftp://example.org/", "https://evil.net\\@example.org/",
    ],
)  # fmt: skip
def test_a_redirect_is_looked_at_like_the_first_address(location: str) -> None:
    wires, names = Wires([redirect(location), OK]), Names({"example.org": [[OPEN]], "inside.net": [[INSIDE]]})
    with pytest.raises(ForbiddenUrl):
        fetch(
            web(wires, names, "example.org", "inside.net", "s3://bucket", "10.0.0.1", "127.0.0.1"),
            "https://example.org/",
        )
    assert wires.connected == [OPEN]


def test_a_redirect_to_plain_http_needs_its_own_word() -> None:
    names = Names({"example.org": [[OPEN]]})
    with pytest.raises(ForbiddenUrl, match=r"redirects elsewhere: http://example\.org is not among"):
        fetch(web(Wires([redirect("http://example.org/")]), names, "example.org"), "https://example.org/")
    wires = Wires([redirect("http://example.org/"), OK])
    assert fetch(web(wires, names, "http://example.org"), "https://example.org/") == b"hello"


@pytest.mark.parametrize("location", ["b", "/b", "?c=1", "https://example.org/b#part", "//example.org/b", "/ä b"])
def test_redirects_lead_on(location: str) -> None:
    wires, names = Wires([redirect(location), OK]), Names({"example.org": [[OPEN]]})
    assert fetch(web(wires, names), "https://example.org/a") == b"hello"


def test_redirects_end() -> None:
    wires, names = Wires([redirect("/a")] * 20), Names({"example.org": [[OPEN]]})
    with pytest.raises(FetchFailed, match="redirected more than 5 times"):
        fetch(web(wires, names), "https://example.org/a")
    assert len(wires.connected) == MOST_REDIRECTS + 1


def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    wires, names = Wires([httpcore.ConnectTimeout(), OK]), Names({"example.org": [[OPEN, "8.8.8.8"]]})
    assert fetch(web(wires, names), "https://example.org/a") == b"hello"
    assert wires.connected == [OPEN, "8.8.8.8"]


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([httpcore.ConnectError("refused")], "refused"),
        ([httpcore.ConnectTimeout()], "nobody answers"),
        ([httpcore.ReadTimeout()], "sends nothing"),
        ([b"220 mail.example.org ESMTP\r\n\r\n"], "illegal status line"),
        ([b""], "disconnected"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"], "without sending complete"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"], "Content-Length"),
    ],
)
def test_what_may_work_the_next_time(answers: list[bytes | Exception], why: str) -> None:
    names = Names({"example.org": [[OPEN]]})
    with pytest.raises(Hiccup) as caught:
        fetch(web(Wires(answers), names), "https://example.org/a")
    assert why in caught.value.why


def test_a_name_that_nobody_knows() -> None:
    with pytest.raises(Hiccup, match="its name is not known"):
        fetch(web(Wires(), Names({})), "https://example.org/a")
    with pytest.raises(Hiccup, match="no address"):
        fetch(web(Wires(), Names({"example.org": [[]]})), "https://example.org/a")


def status(code: int, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {code} Said", *headers, "Content-Length: 0", "", ""]).encode()


@pytest.mark.parametrize("code", [404, 410])
def test_what_is_gone_is_missing(code: int) -> None:
    with pytest.raises(ImageMissing):
        fetch(web(Wires([status(code)]), Names({"example.org": [[OPEN]]})), "https://example.org/a")


@pytest.mark.parametrize("code", [400, 401, 403, 416, 204, 206, 300])
def test_what_the_server_refuses(code: int) -> None:
    with pytest.raises(FetchFailed, match=f"the server answered {code}"):
        fetch(web(Wires([status(code)]), Names({"example.org": [[OPEN]]})), "https://example.org/a")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7), ("0", 0), ("soon", 0), ("-3", 0), ("٣", 3), ("99999999999999999999", 1e20),
        ("Fri, 20 Nov 2020 10:00:00 GMT", 0), ("Fri, 31 Dec 9999 23:59:59 -0000", 1e11),
    ],
)  # fmt: skip
@pytest.mark.parametrize("code", [408, 425, 429, 500, 503, 599])
def test_a_busy_server_says_when_to_come_back(code: int, value: str, seconds: float) -> None:
    value = value if value.isascii() else "3"
    with pytest.raises(Hiccup, match=f"the server answered {code}") as caught:
        wires = Wires([status(code, f"Retry-After: {value}")])
        fetch(web(wires, Names({"example.org": [[OPEN]]})), "https://example.org/a")
    assert caught.value.after == pytest.approx(seconds, rel=2)


def test_what_is_packed_is_not_unpacked() -> None:
    with pytest.raises(FetchFailed, match="packed"):
        wires = Wires([status(200, "Content-Encoding: gzip")])
        fetch(web(wires, Names({"example.org": [[OPEN]]})), "https://example.org/a")


def test_only_what_can_be_sent_back_is_kept_of_a_tag() -> None:
    for etag, kept in ((b'"1"', '"1"'), ("\u00e9".encode("latin-1"), None), (b"", None)):
        answer = OK.replace(b"\r\n\r\n", b"\r\nETag: " + etag + b"\r\n\r\n")
        with web(Wires([answer]), Names({"example.org": [[OPEN]]})).open(
            parse("https://example.org/a"), Tag(), Waiting(60.0)
        ) as reply:
            assert reply.tag == Tag(kept)
            assert b"".join(reply.chunks) == b"hello"


class Silent(httpcore.NetworkStream):
    """A connection where nothing comes."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        raise httpcore.ReadTimeout

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        pass

    def close(self) -> None:
        pass


def test_a_stop_and_the_deadline_end_a_silent_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    wires, names = Wires([OK, OK]), Names({"example.org": [[OPEN]]})
    monkeypatch.setattr(Wires, "connect_tcp", lambda *args: Silent())
    stop = threading.Event()
    stop.set()
    for waiting, error in ((Waiting(60.0, stop), Stopped), (Waiting(1e-9), FetchFailed)):
        with pytest.raises(error), got(web(wires, names), "https://example.org/a", waiting):
            pass


def test_nothing_connects_without_somebody_who_waits() -> None:
    door = Doorway(Policy(), Names({"example.org": [[OPEN]]}), Wires([OK]))
    with pytest.raises(LookupError):
        door.connect_tcp("example.org", 443)
    with patient(Waiting(60.0)):
        door.connect_tcp("example.org", 443).close()
