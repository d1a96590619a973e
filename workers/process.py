"""How a child process stands to its parent."""

from __future__ import annotations

import ctypes
import signal

_PR_SET_PDEATHSIG = 1


def serve_parent() -> None:
    """Leave Ctrl-C to the parent, and never outlive it.

    The socket's end tells a child that waits; the kernel's signal also ends one that is busy in C code.
    Linux sends it when the *thread* that started the child ends, so children are started by a thread that stays.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
