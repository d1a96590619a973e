"""What one picture may cost: said by the settings, kept by the decoders and by their parent."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from pipeline import blobs
from pipeline.settings import Settings
from workers.pixels import CHANNELS

OWN_MEMORY = 1 << 29
"""Address space of a decoder beside its picture."""
COPIES = 4
"""Copies of a picture that decoding, turning and converting it may need at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodeLimits:
    """Travels as it is in a decoder's configuration."""

    max_bytes: int
    max_pixels: int
    seconds: float
    memory: int
    """bytes of address space for a whole decoder, some 60 MB of which it needs for itself"""
    allowed_roots: Sequence[str] | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            max_bytes=settings.max_picture_bytes,
            max_pixels=settings.max_picture_pixels,
            seconds=settings.picture_seconds,
            memory=OWN_MEMORY + COPIES * CHANNELS * settings.max_picture_pixels,
            allowed_roots=_roots(settings),
        )

    def real_roots(self) -> tuple[bytes, ...] | None:
        """The allowed folders as the kernel names them, links followed."""
        if self.allowed_roots is None:
            return None
        return tuple(os.path.realpath(os.fsencode(root)) for root in self.allowed_roots)


def _roots(settings: Settings) -> tuple[str, ...] | None:
    """The folders pictures may lie in, with the one where Pixmill itself put some."""
    if settings.allowed_roots is None:
        return None
    return tuple(str(root) for root in (*settings.allowed_roots, blobs.folder(settings), settings.fetched))
