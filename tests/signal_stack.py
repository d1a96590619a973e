"""The stack that signals' handlers run on, which openvino-genai leaves pointing at memory it gives back.

A pipeline that has answered (openvino-genai 2026.4) has set another alternate stack for the thread, and its memory
is gone with the pipeline. Python's handlers run on that stack: the first signal ends the process without a word.
"""

from __future__ import annotations

import ctypes

_LIBC = ctypes.CDLL(None, use_errno=True)


class SignalStack(ctypes.Structure):
    """`stack_t` of sigaltstack(2)."""

    _fields_ = (("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))

    @classmethod
    def now(cls) -> SignalStack:
        found = cls()
        _LIBC.sigaltstack(None, ctypes.byref(found))
        return found

    def restore(self) -> None:
        _LIBC.sigaltstack(ctypes.byref(self), None)
