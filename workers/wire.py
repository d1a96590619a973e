"""JSON messages between a worker and its child processes, over a stream socket.

A message is `[kind, body]` behind its length in four bytes. Only headers travel here: pixels lie in
shared memory, since sending them through the socket starved the engine.
"""

from __future__ import annotations

import json
import select
import socket
import struct
from typing import Any

Message = tuple[str, Any]

_LENGTH = struct.Struct("<I")
_CHUNK = 1 << 18


class Closed(Exception):
    """The other side is gone."""


class Wire:
    """One end of the socket. Never blocks, unless `wait` or `send` is asked to."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._incoming = bytearray()
        self._outgoing = bytearray()

    def fileno(self) -> int:
        return self._sock.fileno()

    @property
    def unsent(self) -> bool:
        return bool(self._outgoing)

    def post(self, kind: str, body: Any) -> None:
        """Queue a message and send what the socket takes now; `flush` sends the rest."""
        data = json.dumps((kind, body), separators=(",", ":")).encode("utf-8", "surrogatepass")
        self._outgoing += _LENGTH.pack(len(data)) + data
        self.flush()

    def flush(self) -> None:
        """Send what the socket takes without waiting."""
        while self._outgoing:
            try:
                sent = self._sock.send(self._outgoing)
            except BlockingIOError:
                return
            except OSError as error:
                raise Closed from error
            del self._outgoing[:sent]

    def send(self, kind: str, body: Any) -> None:
        """Queue a message and wait until all of it is sent."""
        self.post(kind, body)
        while self._outgoing:
            _ready(self._sock, select.POLLOUT, None)
            self.flush()

    def receive(self) -> list[Message]:
        """The messages that have arrived. Raises `Closed` once the other side is gone and all is read."""
        closed = False
        while True:
            try:
                chunk = self._sock.recv(_CHUNK)
            except BlockingIOError:
                break
            except OSError:
                closed = True
                break
            if not chunk:
                closed = True
                break
            self._incoming += chunk
        messages = self._parse()
        if closed and not messages:
            raise Closed
        return messages

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until something can be received; false when the time ran out."""
        return _ready(self._sock, select.POLLIN, timeout)

    def rest(self) -> None:
        """Wait until something can be received, or sent if something waits for that."""
        _ready(self._sock, select.POLLIN | (select.POLLOUT if self._outgoing else 0), None)

    def close(self) -> None:
        self._sock.close()

    def _parse(self) -> list[Message]:
        messages: list[Message] = []
        start = 0
        while len(self._incoming) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._incoming, start)
            end = start + _LENGTH.size + length
            if len(self._incoming) < end:
                break
            kind, body = json.loads(self._incoming[start + _LENGTH.size : end].decode("utf-8", "surrogatepass"))
            messages.append((kind, body))
            start = end
        del self._incoming[:start]
        return messages


def _ready(sock: socket.socket, events: int, timeout: float | None) -> bool:
    # Not select.select: it fails for descriptors above 1023, which a large program may well have.
    poll = select.poll()
    poll.register(sock, events)
    return bool(poll.poll(None if timeout is None else timeout * 1000))
