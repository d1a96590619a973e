"""What a child process knows of itself: its parent, its memory."""

from __future__ import annotations

import ctypes
import re
import signal
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def serve_parent() -> None:
    """Leave Ctrl-C to the parent, and never outlive it.

    The socket's end tells a child that waits; the kernel's signal also ends one that is busy in C code.
    Linux sends it when the *thread* that started the child ends, so children are started by a thread that stays.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent(signal.SIGKILL)


def end_with_parent(number: signal.Signals) -> None:
    """Be sent this signal when the thread that started this process ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def peak_memory() -> int:
    """The most bytes that this process has had in memory. Not getrusage's: that begins with the parent's."""
    status = Path("/proc/self/status").read_text("ascii", "replace")
    found = re.search(r"^VmHWM:\s*(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
