"""The doorway to the network: whatever connects goes through it, to an address the policy has seen.

A name is resolved here and nowhere else, and the connection goes to exactly what was checked: a name server that
gives another answer the next time gains nothing.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpcore

from pipeline.remote.policy import Policy
from pipeline.remote.waiting import STEP_S, Waiting

Resolve = Callable[[str, int], Sequence[str]]
"""the addresses of a host; raises OSError when it has none"""

CONNECT_S = 10.0
SILENCE_S = 20.0
"""A server that sends nothing for so long is given up."""

_waiting: ContextVar[Waiting] = ContextVar("waiting")


@contextmanager
def patient(waiting: Waiting) -> Iterator[None]:
    """All that this thread does on the network meanwhile ends when the waiting does."""
    token = _waiting.set(waiting)
    try:
        yield
    finally:
        _waiting.reset(token)


def resolve(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[0]) for *_, place in found))


class Doorway(httpcore.NetworkBackend):
    """Connects to the checked addresses of a host, one after another."""

    def __init__(
        self, policy: Policy, resolve: Resolve = resolve, sockets: httpcore.NetworkBackend | None = None
    ) -> None:
        self._policy, self._resolve, self._sockets = policy, resolve, sockets or httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._addresses(host, port)
        self._policy.check_addresses(host, addresses)
        failed: Exception = httpcore.ConnectError("its name has no address")
        for address in addresses:
            seconds = min(CONNECT_S, _waiting.get().left())
            try:
                return Stream(self._sockets.connect_tcp(address, port, seconds, local_address, socket_options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed

    def _addresses(self, host: str, port: int) -> Sequence[str]:
        try:
            return self._resolve(host, port)
        except OSError as error:
            raise httpcore.ConnectError(f"its name is not known: {error.strerror}") from error


class Stream(httpcore.NetworkStream):
    """A connection whose every wait ends in time, however slowly the bytes trickle."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        silent_at = time.monotonic() + SILENCE_S
        while True:
            try:
                return self._stream.read(max_bytes, min(STEP_S, _waiting.get().left()))
            except httpcore.ReadTimeout:
                if time.monotonic() >= silent_at:
                    raise

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, min(SILENCE_S, _waiting.get().left()))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        seconds = min(CONNECT_S, _waiting.get().left())
        return Stream(self._stream.start_tls(ssl_context, server_hostname, seconds))

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
