"""An opener: a decoder process that opens pictures one after another, for those who look at them here.

Nobody vouches for the files: what kills or hangs the decoder, or wants too much memory, costs that picture alone.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from PIL import Image

from pipeline import blobs
from pipeline.errors import ImageMissing, JobError
from pipeline.locators import open_member, open_path
from pipeline.remote.cache import Kept
from pipeline.remote.fetcher import Fetcher, FetchLimits
from pipeline.remote.urls import is_remote
from pipeline.settings import Settings
from workers.child import Refused
from workers.decoders import Decoders
from workers.limits import DecodeLimits
from workers.pixels import CHANNELS, Pixels

_LOOK_S = 0.1


class Opener:
    """Lives as long as the block."""

    def __init__(
        self,
        limits: DecodeLimits,
        media_root: Path | None = None,
        fetch: FetchLimits | None = None,
        blobs: Path | None = None,
    ) -> None:
        self._pixels = Pixels(1, limits.max_pixels, budget=limits.max_pixels * CHANNELS)
        self._decoders = Decoders(1, limits, self._pixels.fd)
        self._media_root, self._blobs = media_root, blobs
        self._fetcher = Fetcher.of(fetch) if fetch else None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """One that opens what the jobs of these settings are about, wherever it lies."""
        return cls(DecodeLimits.of(settings), settings.media_root, FetchLimits.of(settings), blobs.folder(settings))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._decoders.close()
        self._pixels.close()
        if self._fetcher:
            self._fetcher.close()

    def open(self, locator: str) -> Image.Image:
        """The picture, upright and in RGB. Raises Refused with the reason."""
        if self._fetcher and is_remote(locator):
            with self._fetched(self._fetcher, locator) as kept:
                return self._open(str(kept.path), None)
        path = open_path(locator, self._media_root, self._blobs)
        if path is None:
            raise Refused(ImageMissing.code, "it is no file on this machine")
        return self._open(path, open_member(locator))

    def _fetched(self, fetcher: Fetcher, locator: str) -> Kept:
        try:
            return fetcher.fetch(locator)
        except JobError as error:
            raise Refused(error.code, str(error)) from error

    def _open(self, path: str, member: str | None) -> Image.Image:
        offset = self._pixels.take()
        assert offset is not None, "one picture at a time"
        try:
            return self._decode(path, member, offset)
        finally:
            self._pixels.free(offset)

    def _decode(self, path: str, member: str | None, offset: int) -> Image.Image:
        future = self._decoders.decode(path, offset, self._pixels.room, member)
        while not future.done():
            self._decoders.tend()
            self._wait()
            self._decoders.receive()
        width, height = future.result().width, future.result().height
        self._pixels.filled(offset, width, height)
        return Image.frombytes("RGB", (width, height), os.pread(self._pixels.fd, width * height * CHANNELS, offset))

    def _wait(self) -> None:
        """For a word of the decoder, or for the pause before it is started again."""
        (child,) = self._decoders.children
        if child.wire:
            child.wire.wait(_LOOK_S)
        else:
            time.sleep(min(child.due_in or 0.0, _LOOK_S))
