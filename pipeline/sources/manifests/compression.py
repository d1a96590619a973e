"""Compression: the bytes of a file that may be compressed, in blocks."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from typing import BinaryIO, Protocol

BLOCK = 1 << 18
# What is handed over at once bounds what may come out: zlib makes a thousand times as much of it at most,
# and a block of zstd, which is 128 KiB at most, takes four bytes.
_FED = {b"\x1f\x8b": 1 << 14, b"\x28\xb5\x2f\xfd": 1 << 11}


class Damaged(Exception):
    """The file cannot be read from here on; its text says why."""


class Decompressor(Protocol):
    """What zlib and zstandard have in common: one member or frame."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


def blocks(stream: BinaryIO) -> Iterator[bytes]:
    """The bytes as they were before they were compressed; the first of them tell whether and how.

    Raises Damaged after the last bytes that could be read.
    """
    found = _raw(stream)
    first = next(found, b"")
    magic = next((magic for magic in _KINDS if first.startswith(magic)), None)
    whole = chain([first], found)
    return whole if magic is None else _decompressed(whole, _KINDS[magic], _FED[magic])


def _raw(stream: BinaryIO) -> Iterator[bytes]:
    try:
        # One read a block: a pipe gives what there is, and nothing that was read is lost to an error behind it.
        while block := stream.read(BLOCK) if not hasattr(stream, "read1") else stream.read1(BLOCK):
            yield block
    except OSError as error:
        raise Damaged((error.strerror or str(error)).lower()) from error


def _decompressed(found: Iterator[bytes], make: Callable[[], Decompressor], fed: int) -> Iterator[bytes]:
    """Several members or frames may follow each other."""
    unit = make()
    for block in found:
        for start in range(0, len(block), fed):
            data = block[start : start + fed]
            while data:
                if unit.eof:
                    unit = make()
                yield _step(unit, data)
                data = unit.unused_data if unit.eof else b""
    if not unit.eof:
        raise Damaged("the compressed file ends too early")


def _step(unit: Decompressor, data: bytes) -> bytes:
    try:
        return unit.decompress(data)
    except _errors() as error:
        raise Damaged(f"the compressed file is damaged ({error})") from error


def _errors() -> tuple[type[Exception], ...]:
    import zstandard

    return (zlib.error, zstandard.ZstdError)


def _gzip() -> Decompressor:
    return zlib.decompressobj(wbits=31)


def _zstd() -> Decompressor:
    import zstandard

    made: Decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
    return made


_KINDS: dict[bytes, Callable[[], Decompressor]] = {b"\x1f\x8b": _gzip, b"\x28\xb5\x2f\xfd": _zstd}
