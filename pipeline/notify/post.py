"""A post: a notice to an address, signed, and sent under the guards that hold for fetched pictures."""

from __future__ import annotations

import hashlib
import hmac
import ssl
import time
from collections.abc import Callable
from contextlib import closing

import httpcore

from pipeline import __version__
from pipeline.errors import ForbiddenUrl, NoticeRefused, PixmillError
from pipeline.remote.doorway import Doorway, patient
from pipeline.remote.policy import Policy
from pipeline.remote.urls import Url, parse
from pipeline.remote.waiting import Waiting

SECONDS = 30.0
SIGNATURE = "X-Pixmill-Signature"
TIMESTAMP = "X-Pixmill-Timestamp"
_ERRORS = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What the receiver computes too: sha256=HMAC(secret, TIMESTAMP.BODY). An old timestamp tells a repeated notice."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def post(
    url: str,
    body: bytes,
    secret: str,
    policy: Policy,
    *,
    doorway: Doorway | None = None,
    tls: ssl.SSLContext | None = None,
    clock: Callable[[], float] = time.time,
) -> None:
    """Send it. Raises ForbiddenUrl where that is never allowed, NoticeRefused when it was not received."""
    policy.check(url)
    parsed, timestamp = parse(url), str(int(clock()))
    headers = {
        "Host": parsed.netloc,
        "User-Agent": f"pixmill/{__version__}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        TIMESTAMP: timestamp,
        SIGNATURE: signature(secret, timestamp, body),
    }
    pool = httpcore.ConnectionPool(
        ssl_context=tls or ssl.create_default_context(), network_backend=doorway or Doorway(policy)
    )
    with closing(pool), patient(Waiting(SECONDS)):
        status = _status(pool, parsed, headers, body)
    if 300 <= status < 400:
        raise ForbiddenUrl(why="it redirects elsewhere, and a notice goes to the address that was named or nowhere")
    if not 200 <= status < 300:
        raise NoticeRefused(why=f"the server answered {status}")


def _status(pool: httpcore.ConnectionPool, url: Url, headers: dict[str, str], body: bytes) -> int:
    target = httpcore.URL(scheme=url.scheme, host=url.host, port=url.port, target=url.path)
    try:
        # What it says besides the status is of no interest, and not read.
        with pool.stream("POST", target, headers=list(headers.items()), content=body) as response:
            return int(response.status)
    except ForbiddenUrl:
        raise
    except PixmillError as error:  # FetchFailed: the time was over
        raise NoticeRefused(why=str(error.facts.get("why", error))) from error
    except _ERRORS as error:
        raise NoticeRefused(why=" ".join(str(error).split()) or type(error).__name__) from error
