"""Limits: whether the kernel would let one more folder be listened to."""

from __future__ import annotations

import ctypes
import errno
import os

_IN_DELETE_SELF = 0x400
_SOME_FOLDER = b"/"


def allows_more() -> bool:
    """Whether the limit of folders (fs.inotify.max_user_watches) leaves room for one more.

    watchdog (7.1) passes over folders below the first one for which there is none, and does not say so.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    file = libc.inotify_init1(os.O_CLOEXEC)
    if file < 0:
        return False
    try:
        return libc.inotify_add_watch(file, _SOME_FOLDER, _IN_DELETE_SELF) >= 0 or ctypes.get_errno() != errno.ENOSPC
    finally:
        os.close(file)
