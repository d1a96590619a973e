"""Web servers as a source: one pool of connections, redirects followed under the same rules as the first address."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin

import httpcore

from pipeline import __version__
from pipeline.errors import FetchFailed, ForbiddenUrl, ImageMissing
from pipeline.locators import printable
from pipeline.remote.doorway import Doorway, patient
from pipeline.remote.policy import Policy
from pipeline.remote.source import Hiccup, Reply, Tag
from pipeline.remote.urls import WEB, Url, parse
from pipeline.remote.waiting import Waiting

MOST_REDIRECTS = 5
IDLE_S = 15.0
"""How long a connection is kept for the next picture."""
_REDIRECTS = (301, 302, 303, 307, 308)
_AGAIN = (408, 425, 429)
_GONE = (404, 410)
_LONGEST_REASON = 200

_ERRORS = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException)


class Web:
    """`https://`, and `http://` where that is allowed. Proxies that the environment names are not used."""

    def __init__(
        self, policy: Policy, doorway: Doorway, *, connections: int = 16, tls: ssl.SSLContext | None = None
    ) -> None:
        self._policy = policy
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls or ssl.create_default_context(),
            max_connections=connections,
            keepalive_expiry=IDLE_S,
            network_backend=doorway,
        )

    @contextmanager
    def open(self, url: Url, known: Tag, waiting: Waiting) -> Iterator[Reply]:
        with patient(waiting), _hiccups():
            for _ in range(MOST_REDIRECTS + 1):
                with self._pool.stream("GET", _target(url), headers=_asking(url, known)) as response:
                    headers = {name.decode("latin-1").lower(): value for name, value in _decoded(response.headers)}
                    if response.status not in _REDIRECTS:
                        yield _reply(response, headers)
                        return
                url = self._next(url, headers.get("location", ""))
        raise FetchFailed(why=f"it was redirected more than {MOST_REDIRECTS} times")

    def close(self) -> None:
        self._pool.close()

    def _next(self, url: Url, location: str) -> Url:
        """Where a redirect leads. Its address may be signed: it is stored nowhere."""
        try:
            following = parse(urljoin(str(url), location.partition("#")[0]))
            self._policy.admit(following)
        except ForbiddenUrl as error:
            raise ForbiddenUrl(why=f"it redirects elsewhere: {error.facts['why']}") from error
        if following.scheme not in WEB:
            raise ForbiddenUrl(why=f"it redirects to {following.scheme}://")
        return following


def _target(url: Url) -> httpcore.URL:
    return httpcore.URL(scheme=url.scheme, host=url.host, port=url.port, target=url.path)


def _asking(url: Url, known: Tag) -> list[tuple[str, str]]:
    headers = {
        "Host": url.netloc,
        "User-Agent": f"pixmill/{__version__}",
        "Accept": "image/*,*/*;q=0.5",
        "Accept-Encoding": "identity",  # what is packed could unpack to any size
        "If-None-Match": known.etag,
        "If-Modified-Since": known.modified,
    }
    return [(name, value) for name, value in headers.items() if value]


def _decoded(headers: list[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, str]]:
    return ((name, value.decode("latin-1")) for name, value in headers)


def _reply(response: httpcore.Response, headers: Mapping[str, str]) -> Reply:
    status = response.status
    if status in _GONE:
        raise ImageMissing
    if status in _AGAIN or status >= 500:
        raise Hiccup(f"the server answered {status}", _retry_after(headers.get("retry-after", "")))
    if status == 304:
        return Reply(unchanged=True)
    if status != 200:
        raise FetchFailed(why=f"the server answered {status}")
    if (packed := headers.get("content-encoding", "identity").lower()) != "identity":
        raise FetchFailed(why=f"it came packed ({printable(packed)[:20]}), which was not asked for")
    length = headers.get("content-length", "")
    return Reply(
        tag=Tag(_kept(headers.get("etag")), _kept(headers.get("last-modified"))),
        size=int(length) if length.isdecimal() else None,
        chunks=response.iter_stream(),
    )


def _kept(value: str | None) -> str | None:
    """A header's value that can be sent back."""
    return value if value and value.isascii() and value.isprintable() else None


def _retry_after(text: str) -> float:
    """Seconds until the server wants to be asked again; it tells a number of them or a moment."""
    if text.strip().isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    now = datetime.now(UTC)
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())


@contextmanager
def _hiccups() -> Iterator[None]:
    """What goes wrong on the way, as something that may work the next time."""
    try:
        yield
    except _ERRORS as error:
        reason = next(iter(error.args), None)  # the pool has taken away the cause
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise FetchFailed(why=f"its certificate is refused: {reason.verify_message}") from error
        why = printable(" ".join(str(error).split()))[:_LONGEST_REASON]
        raise Hiccup(why or _SILENT.get(type(error), type(error).__name__)) from error


_SILENT: dict[type[Exception], str] = {
    httpcore.ConnectTimeout: "nobody answers there",
    httpcore.ReadTimeout: "the server sends nothing",
}
