"""workers.decoders: what the parent side makes of real decoder processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import ImageTimeout
from tests.house import LIMITS, draw
from workers.child import Child, Refused
from workers.decoders import AWAY, GRACE, Decoded, Decoders


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


SECONDS = 5.0


class One:
    """One decoder that is ready, and the time as its parent sees it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.pixels = os.memfd_create("pixels")
        self.decoders = Decoders(1, replace(LIMITS, seconds=SECONDS), self.pixels, now=self.clock)
        self.decoders.tend()
        while self.child.ready is None:
            self.listen()

    @property
    def child(self) -> Child:
        return self.decoders.children[0]

    def decode(self, path: Path) -> Future[Decoded]:
        future = self.decoders.decode(str(path), 0, 1 << 20)
        self.decoders.tend()
        return future

    def say(self, number: signal.Signals) -> None:
        assert self.child.pid
        os.kill(self.child.pid, number)

    def listen(self) -> None:
        assert self.child.wire and self.child.wire.wait(20)
        self.decoders.receive()

    def pass_time(self, seconds: float) -> None:
        self.clock.time += seconds
        self.decoders.tend()

    def close(self) -> None:
        self.decoders.close()
        os.close(self.pixels)


@pytest.fixture
def one() -> Iterator[One]:
    one = One()
    yield one
    one.close()


def test_a_parent_that_was_away_blames_no_decoder_that_has_answered(one: One, tmp_path: Path) -> None:
    """Its own database may have kept it waiting."""
    future = one.decode(draw(tmp_path / "a.bmp", 1))
    assert one.child.wire and one.child.wire.wait(20)
    for _ in range(8):
        one.pass_time(1.0)
    one.decoders.receive()
    assert future.result(0).width == 4


def test_time_in_which_all_were_stopped_is_held_against_nobody(one: One, tmp_path: Path) -> None:
    """Ctrl-Z stops the parent and its decoders."""
    one.say(signal.SIGSTOP)
    future = one.decode(draw(tmp_path / "a.bmp", 1))
    one.pass_time(3600.0)
    one.say(signal.SIGCONT)
    one.listen()
    assert future.result(0).width == 4


def test_a_decoder_that_hangs_while_its_parent_looks_on_is_ended(one: One, tmp_path: Path) -> None:
    one.say(signal.SIGSTOP)
    future = one.decode(draw(tmp_path / "a.bmp", 1))
    while one.clock.time <= SECONDS + GRACE:
        assert not future.done()
        one.pass_time(AWAY / 2)
    error = future.exception(0)
    assert isinstance(error, Refused) and error.code == ImageTimeout.code


def test_so_is_one_whose_parent_always_comes_late(one: One, tmp_path: Path) -> None:
    one.say(signal.SIGSTOP)
    future = one.decode(draw(tmp_path / "a.bmp", 1))
    for _ in range(int((SECONDS + GRACE) / AWAY) + 1):
        assert not future.done()
        one.pass_time(AWAY * 10)
    assert isinstance(future.exception(0), Refused)
