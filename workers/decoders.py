"""The parent's side of the decoder processes: paths in, futures of decoded pictures out."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote_from_bytes

from pipeline.errors import DecodersFailed, ImageTimeout, ImageUnreadable
from workers.child import Child, Death, Refused, StartsExhausted
from workers.limits import DecodeLimits

AHEAD = 2
"""Pictures sent to one decoder: the next waits in its socket, so that it never waits for us."""

GRACE = 2.0
"""Seconds beyond its own time limit before a decoder is killed: it reports a timeout itself if it can."""

AWAY = 2.0
"""Seconds between two looks at the decoders beyond which the parent was away, stopped by Ctrl-Z or kept by its
database. The decoders may have been stopped as well, so what is beyond is not held against them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoded:
    """A picture in shared memory, and what its file was."""

    sha256: bytes
    bytes: int
    width: int
    height: int
    format: str
    size: int
    mtime_ns: int
    seconds: float


@dataclass(slots=True)
class _Order:
    id: int
    path: str
    offset: int
    room: int
    future: Future[Decoded]
    member: str | None

    def wire(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "path": quote_from_bytes(os.fsencode(self.path)),
            "member": None if self.member is None else quote_from_bytes(os.fsencode(self.member)),
            "offset": self.offset,
            "room": self.room,
        }


class _Decoder:
    """One decoder process and the orders it has, the first of which it works on."""

    def __init__(self, limits: DecodeLimits, pixels: int, now: Callable[[], float]) -> None:
        self.child = Child("workers.decoder", asdict(limits), shared=pixels, now=now)
        self.orders: deque[_Order] = deque()
        self.begun = now()


class Decoders:
    """A few decoder processes that share a queue. A picture that kills or hangs one costs that picture alone."""

    def __init__(
        self, count: int, limits: DecodeLimits, pixels: int, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._limits, self._now = limits, now
        self._decoders = [_Decoder(limits, pixels, now) for _ in range(count)]
        self._queue: deque[_Order] = deque()
        self._last_id = 0
        self._looked = now()

    @property
    def children(self) -> Sequence[Child]:
        return [decoder.child for decoder in self._decoders]

    @property
    def full(self) -> bool:
        """Whether there are orders for all that the decoders take ahead."""
        return self._orders >= AHEAD * len(self._decoders)

    @property
    def busy(self) -> bool:
        return self._orders > 0

    @property
    def _orders(self) -> int:
        return len(self._queue) + sum(len(decoder.orders) for decoder in self._decoders)

    def decode(self, path: str, offset: int, room: int, member: str | None = None) -> Future[Decoded]:
        """The picture in a file, or in a member of an archive."""
        self._last_id += 1
        future: Future[Decoded] = Future()
        self._queue.append(_Order(self._last_id, path, offset, room, future, member))
        return future

    def tend(self) -> None:
        """Start dead decoders again, kill hanging ones, hand out what waits."""
        self._forgive_absence()
        for decoder in self._decoders:
            try:
                decoder.child.tend()
            except StartsExhausted as error:
                raise DecodersFailed(why=str(error)) from error
            late = self._now() - decoder.begun > self._limits.seconds + GRACE
            if decoder.orders and late and not decoder.child.unread:
                decoder.child.kill("it hung")
                why = ImageTimeout(seconds=self._limits.seconds)
                self._lost(decoder, Refused(why.code, str(why)))
        for depth in range(AHEAD):  # one each before a second for anyone
            for decoder in self._decoders:
                if self._queue and decoder.child.ready is not None and len(decoder.orders) <= depth:
                    self._hand_out(decoder)

    def receive(self) -> None:
        """Resolve the futures whose pictures have been decoded."""
        for decoder in self._decoders:
            for message in decoder.child.receive():
                if isinstance(message, Death):
                    dead = ImageUnreadable(why=f"decoding it ended the decoder ({message.reason})")
                    self._lost(decoder, Refused(dead.code, str(dead)))
                else:
                    self._handle(decoder, *message)

    def close(self) -> None:
        for decoder in self._decoders:
            decoder.child.close()

    def _forgive_absence(self) -> None:
        looked, self._looked = self._looked, self._now()
        if (away := self._looked - looked) > AWAY:
            for decoder in self._decoders:
                decoder.begun += away - AWAY

    def _hand_out(self, decoder: _Decoder) -> None:
        order = self._queue.popleft()
        if not decoder.orders:
            decoder.begun = self._now()
        decoder.orders.append(order)
        decoder.child.post("decode", order.wire())

    def _handle(self, decoder: _Decoder, kind: str, body: dict[str, Any]) -> None:
        order = decoder.orders.popleft()
        decoder.begun = self._now()
        assert order.id == body.pop("id"), "a decoder answers in order"
        if kind == "decoded":
            order.future.set_result(Decoded(**{**body, "sha256": bytes.fromhex(body["sha256"])}))
        else:
            order.future.set_exception(Refused(body["code"], body["message"]))

    def _lost(self, decoder: _Decoder, why: Refused) -> None:
        """A decoder is gone: its first picture is to blame, the others go back to the queue."""
        if not decoder.orders:
            return
        culprit = decoder.orders.popleft()
        self._queue.extendleft(reversed(decoder.orders))
        decoder.orders.clear()
        culprit.future.set_exception(why)
