"""Pixels: one piece of shared memory, cut into slots, where decoders write and the engine reads.

The parent owns it, so pictures outlive an engine that dies and a new one is fed without decoding again.
Pages are only taken when written, and given back when a slot is freed.
"""

from __future__ import annotations

import mmap
import os

CHANNELS = 3


class Pixels:
    """Slots for `count` pictures of at most `max_pixels` each, within `budget` bytes in all."""

    def __init__(self, count: int, max_pixels: int, budget: int) -> None:
        self.room = _pages(max_pixels * CHANNELS)
        self.fd = os.memfd_create("pixels")
        os.ftruncate(self.fd, count * self.room)
        self._map = mmap.mmap(self.fd, count * self.room)
        self._free = list(range(count))
        self._used: dict[int, int] = {}
        self._budget = budget

    def take(self, *, beyond_budget: bool = False) -> int | None:
        """The offset of a free slot, or none while all are taken or the budget is spent."""
        spent = sum(self._used.values()) >= self._budget
        if not self._free or (spent and not beyond_budget):
            return None
        slot = self._free.pop()
        self._used[slot] = 0
        return slot * self.room

    def filled(self, offset: int, width: int, height: int) -> None:
        """Note how much of a slot is in use, for the budget."""
        self._used[offset // self.room] = width * height * CHANNELS

    def free(self, offset: int) -> None:
        """Give a slot's memory back."""
        slot = offset // self.room
        del self._used[slot]
        # Of no use to the next picture: most slots would grow to the size of the largest picture seen.
        self._map.madvise(mmap.MADV_REMOVE, offset, self.room)
        self._free.append(slot)

    def close(self) -> None:
        self._map.close()
        os.close(self.fd)


def _pages(size: int) -> int:
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
