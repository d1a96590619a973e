"""The decoder process: opens pictures nobody vouches for, within limits, and puts their pixels into shared memory.

It imports Pillow and little else, so that it starts at once. Run as `python -m workers.decoder SOCKET_FD PIXELS_FD`.
"""

from __future__ import annotations

import math
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from types import FrameType
from typing import Any
from urllib.parse import unquote_to_bytes

from PIL import Image

from pipeline.archives.lookup import Archives
from pipeline.errors import ImageTimeout, JobError
from pipeline.files import Contents
from workers import decoding, reading
from workers.limits import DecodeLimits
from workers.process import serve_parent
from workers.wire import Closed, Wire

_BAND = 1 << 18
_FILES = 64
_NICENESS = 10
"""Behind the engine, whose threads wait for each other: a tiny model on two shared cores gave a third more answers."""
_CPU_MARGIN = 5
"""seconds of CPU beyond the time limit: the alarm comes first, then the parent, then the kernel"""


class Decoder:
    """Decodes one picture after another into the shared memory `pixels`."""

    def __init__(self, limits: DecodeLimits, pixels: int) -> None:
        self._limits, self._roots = limits, limits.real_roots()
        self._pixels = pixels
        self._archives = Archives()

    def decode(self, path: bytes, offset: int, room: int, member: bytes | None = None) -> dict[str, Any]:
        """The facts of a picture whose pixels now lie at `offset`; raises a `JobError` otherwise."""
        limits = self._limits
        started = time.perf_counter()
        with _time_limit(limits.seconds):
            contents = self._read(path, member)
            image, kind = decoding.decode(contents.data, max_pixels=limits.max_pixels, room=room)
            _write(image, self._pixels, offset)
        return {
            "sha256": sha256(contents.data).hexdigest(),
            "bytes": len(contents.data),
            "width": image.width,
            "height": image.height,
            "format": kind,
            "size": contents.size,
            "mtime_ns": contents.mtime_ns,
            "seconds": time.perf_counter() - started,
        }

    def _read(self, path: bytes, member: bytes | None) -> Contents:
        limits = self._limits
        if member is None:
            return reading.read(path, max_bytes=limits.max_bytes, roots=self._roots)
        return self._archives.read(path, member, max_bytes=limits.max_bytes, roots=self._roots)


class _TimeUp(BaseException):
    """No `Exception`, so that nothing in Pillow takes it for a broken file."""


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise `ImageTimeout` after that time at work, or end the process where C code does not come back.

    Time at work: a decoder that Ctrl-Z stopped goes on where it was, and one that waits for a disk is its
    parent's business. The alarm repeats: an exception raised while Python happens to collect garbage is lost.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    _lower(resource.RLIMIT_CPU, math.ceil(used.ru_utime + used.ru_stime + seconds) + _CPU_MARGIN)
    try:
        signal.setitimer(signal.ITIMER_PROF, seconds, 1.0)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    except _TimeUp as error:
        raise ImageTimeout(seconds=seconds) from error


def _time_up(_signal: int, _frame: FrameType | None) -> None:
    raise _TimeUp


def _write(image: Image.Image, fd: int, offset: int) -> None:
    """Band by band: 12 megapixels take 10 ms and no memory to speak of, as one string 40 ms and twice the pixels."""
    rows = max(1, _BAND // (image.width * 3))
    for top in range(0, image.height, rows):
        band = memoryview(image.crop((0, top, image.width, min(top + rows, image.height))).tobytes())
        while band:
            written = os.pwrite(fd, band, offset)
            offset += written
            band = band[written:]


def _lower(limit: int, value: int) -> None:
    _, hard = resource.getrlimit(limit)
    resource.setrlimit(limit, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _harden(limits: DecodeLimits) -> None:
    decoding.prepare()
    _lower(resource.RLIMIT_AS, limits.memory)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, _FILES)
    signal.signal(signal.SIGPROF, _time_up)


def _silence_libraries() -> None:
    """Keep the error stream for Python's own words: libtiff writes its complaints there by itself."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def serve(wire: Wire, pixels: int) -> None:
    """Answer the parent's messages in order until it is gone."""
    decoder: Decoder | None = None
    while wire.wait():
        for kind, body in wire.receive():
            if kind == "config":
                limits = DecodeLimits(**body)
                _harden(limits)
                decoder = Decoder(limits, pixels)
                wire.send("ready", {})
            elif decoder is not None:
                wire.send(*_answer(decoder, **body))


def _answer(
    decoder: Decoder, id: int, path: str, offset: int, room: int, member: str | None = None
) -> tuple[str, dict[str, Any]]:
    inside = None if member is None else unquote_to_bytes(member)
    try:
        return "decoded", {"id": id, **decoder.decode(unquote_to_bytes(path), offset, room, inside)}
    except JobError as error:
        return "failed", {"id": id, "code": error.code, "message": str(error)}


def main() -> None:
    serve_parent()
    os.nice(_NICENESS)
    _silence_libraries()
    wire = Wire(socket.socket(fileno=int(sys.argv[1])))
    try:
        serve(wire, int(sys.argv[2]))
    except Closed:
        pass


if __name__ == "__main__":
    main()
