"""workers.local: a person's wish to stop, whenever it comes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from workers.local import Stop, Stopped
from workers.session import interruptible


def test_asking_wakes_who_waits() -> None:
    stop = Stop()
    threading.Timer(0.05, stop.ask).start()
    begun = time.monotonic()
    stop.wait(20)
    assert time.monotonic() - begun < 10
    assert stop.times == 1


def test_many_wakes_are_one() -> None:
    stop = Stop()
    for _ in range(3):
        stop.wake()
    stop.wait(20)
    begun = time.monotonic()
    stop.wait(0.05)
    assert time.monotonic() - begun >= 0.05


STORM = """
import signal
from workers.local import Stop
from workers.session import interruptible
stop = Stop()
with interruptible(stop):
    signal.signal(signal.SIGALRM, signal.getsignal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
    for _ in range(500):
        stop.wait(0.001)
    signal.setitimer(signal.ITIMER_REAL, 0)
print(stop.times)
"""


def test_a_signal_is_heard_at_any_moment_of_a_wait() -> None:
    """With an Event, the handler waited for a lock that the interrupted wait held.

    In a process of its own, as the program is: it loads neither OpenVINO nor Pillow, whose threads and
    libraries other tests leave in this one, and which did not survive the signals.
    """
    done = subprocess.run([sys.executable, "-c", STORM], capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) > 0


def test_a_signal_ends_the_wait_for_a_silent_source() -> None:
    stop = Stop()

    def silent() -> Iterator[int]:
        yield 1
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
        yield 2

    seen = []
    with interruptible(stop), pytest.raises(Stopped):
        seen.extend(stop.watch(silent()))
    assert stop.times == 1


def test_a_signal_between_two_items_interrupts_nothing() -> None:
    stop = Stop()
    seen = []
    with interruptible(stop), pytest.raises(Stopped):
        for number in stop.watch(iter(range(5))):
            os.kill(os.getpid(), signal.SIGINT)
            seen.append(number)
    assert seen == [0]
