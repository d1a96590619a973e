"""workers.decoders: what the parent side makes of real decoder processes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from tests.house import LIMITS, draw
from workers.decoders import GRACE, Decoders


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def test_a_parent_that_was_away_blames_no_decoder_that_has_answered(tmp_path: Path) -> None:
    """Its own database may have kept it waiting, or Ctrl-Z."""
    clock = Clock()
    pixels = os.memfd_create("pixels")
    decoders = Decoders(1, replace(LIMITS, seconds=5.0), pixels, now=clock)
    (child,) = decoders.children
    decoders.tend()
    while child.ready is None:
        assert child.wire and child.wire.wait(20)
        decoders.receive()
    future = decoders.decode(str(draw(tmp_path / "a.bmp", 1)), 0, 1 << 20)
    decoders.tend()
    assert child.wire and child.wire.wait(20)
    clock.time += 5.0 + GRACE + 1
    decoders.tend()
    decoders.receive()
    assert future.result(0).width == 4
    decoders.close()
    os.close(pixels)
