"""Pixels: one piece of shared memory, cut into slots, where decoders write and the engine reads.

The parent owns it, so pictures outlive an engine that dies and a new one is fed without decoding again.
Pages are only taken when written, and those of large pictures are given back.
"""

from __future__ import annotations

import mmap
import os

CHANNELS = 3
KEPT = 2 << 20
"""Bytes of a slot that stay allocated for the next picture: giving them back and taking them again
cost a fifth of what decoding a 640x480 JPEG did."""


class Pixels:
    """Slots for `count` pictures of at most `max_pixels` each, within `budget` bytes in all."""

    def __init__(self, count: int, max_pixels: int, budget: int) -> None:
        self.room = _pages(max_pixels * CHANNELS)
        self.fd = os.memfd_create("pixels")
        os.ftruncate(self.fd, count * self.room)
        self._free = list(range(count))
        self._used: dict[int, int] = {}
        self._spent = 0
        self._budget = budget

    def take(self, *, beyond_budget: bool = False) -> int | None:
        """The offset of a free slot, or none while all are taken or the budget is spent."""
        if not self._free or (self._spent >= self._budget and not beyond_budget):
            return None
        slot = self._free.pop()
        self._used[slot] = 0
        return slot * self.room

    def filled(self, offset: int, width: int, height: int) -> None:
        """Note how much of a slot is in use, for the budget."""
        self._used[offset // self.room] = width * height * CHANNELS
        self._spent += width * height * CHANNELS

    def free(self, offset: int) -> None:
        """Give a slot back, and the memory that a large picture took."""
        slot = offset // self.room
        used = self._used.pop(slot)
        self._spent -= used
        if (pages := _pages(used)) > KEPT:
            # Else each slot would grow to the size of the largest picture it ever held.
            with mmap.mmap(self.fd, pages - KEPT, offset=offset + KEPT) as rest:
                rest.madvise(mmap.MADV_REMOVE)
        self._free.append(slot)

    def close(self) -> None:
        os.close(self.fd)


def _pages(size: int) -> int:
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
