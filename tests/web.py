"""A web server of our own on loopback, with the ways in which real ones misbehave."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import trustme

CHUNK = 1 << 16


@dataclass
class Page:
    """What one path answers."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    """what Content-Length says instead of the truth; -1: nothing"""
    endless: bool = False
    """whether the body is sent again and again"""
    cut: int | None = None
    """after so many bytes the connection breaks off"""
    failing: list[Page] = field(default_factory=list)
    """what is answered first, one by one"""
    hold: Hold | None = None


@dataclass
class Hold:
    """A body whose last byte does not come until it may."""

    reached: threading.Event = field(default_factory=threading.Event)
    onward: threading.Event = field(default_factory=threading.Event)


@dataclass
class Site:
    """The server, what it has, and what it was asked."""

    url: str = ""
    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    connections: int = 0

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    def add(self, path: str, body: bytes = b"", **more: Any) -> str:
        """Its address, once it answers so."""
        self.pages[path] = Page(body, **more)
        return f"{self.url}{path}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def setup(self) -> None:
        super().setup()
        self.site.connections += 1

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the test's output is the test's."""

    def do_GET(self) -> None:
        self.site.asked.append((self.path, dict(self.headers)))
        page = self.site.pages.get(self.path, Page(status=404))
        self._answer(page.failing.pop(0) if page.failing else page)

    def _answer(self, page: Page) -> None:
        etag = page.headers.get("ETag")
        if etag and self.headers.get("If-None-Match") == etag:
            page = Page(status=304, headers=page.headers)
        self.send_response(page.status)
        length = len(page.body) if page.length is None else page.length
        headers = page.headers | ({} if length < 0 else {"Content-Length": str(length)})
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self._send(page)
        if page.length is not None:
            self.close_connection = True

    def _send(self, page: Page) -> None:
        try:
            if page.cut is not None:
                self.wfile.write(page.body[: page.cut])
                self._reset()
                return
            if page.hold:
                self.wfile.write(page.body[:-1])
                page.hold.reached.set()
                page.hold.onward.wait()
                self.wfile.write(page.body[-1:])
                return
            self.wfile.write(page.body)
            while page.endless:
                self.wfile.write(page.body)
        except OSError:  # the client has had enough
            self.close_connection = True

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True


@contextmanager
def site(tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Site]:
    """A server without pages; with `tls` it speaks HTTPS."""
    made = Site()
    handler = type("Handler", (_Handler,), {"site": made})
    with _Server((host, 0), handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        made.url = f"{'https' if tls else 'http'}://{host}:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield made
        finally:
            for page in made.pages.values():
                if page.hold:
                    page.hold.onward.set()
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: clients that end a connection are what is tested."""


def certificates(*names: str) -> tuple[ssl.SSLContext, trustme.CA]:
    """What a server of these names shows, and who vouches for it."""
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(tls)
    return tls, authority
