"""workers.pixels: slots are lent, bounded and given back with their memory."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

from workers.pixels import KEPT, Pixels

MAX_PIXELS = 100_000


@pytest.fixture
def pixels() -> Iterator[Pixels]:
    pixels = Pixels(3, MAX_PIXELS, budget=500_000)
    yield pixels
    pixels.close()


def resident(pixels: Pixels) -> int:
    return os.fstat(pixels.fd).st_blocks * 512


def test_slots_do_not_overlap(pixels: Pixels) -> None:
    offsets = sorted(offset for _ in range(3) if (offset := pixels.take()) is not None)
    assert len(offsets) == 3
    assert all(after - before >= MAX_PIXELS * 3 for before, after in itertools.pairwise(offsets))


def test_no_slot_is_left_when_all_are_taken(pixels: Pixels) -> None:
    first, _, _ = pixels.take(), pixels.take(), pixels.take()
    assert pixels.take() is None
    assert first is not None
    pixels.free(first)
    assert pixels.take() == first


def test_the_budget_bounds_what_is_held(pixels: Pixels) -> None:
    for _ in range(2):
        offset = pixels.take()
        assert offset is not None
        pixels.filled(offset, 1000, 100)
    assert pixels.take() is None
    assert pixels.take(beyond_budget=True) is not None


def test_memory_is_taken_when_written_and_a_large_pictures_is_given_back() -> None:
    pixels = Pixels(1, 4_000_000, budget=1 << 30)
    assert resident(pixels) == 0
    offset = pixels.take()
    assert offset is not None
    os.pwrite(pixels.fd, b"\1" * 12_000_000, offset)
    pixels.filled(offset, 4_000, 1_000)
    assert resident(pixels) >= 12_000_000
    pixels.free(offset)
    assert 0 < resident(pixels) <= KEPT
    pixels.close()
