"""Repeating: something done again and again in a thread of its own, whatever hinders it now and then."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from pipeline.errors import PixmillError

log = logging.getLogger(__name__)


def repeat(do: Callable[[], object], stopped: threading.Event, every_s: float) -> None:
    """Do it every so many seconds until it is stopped. What hinders it is logged when that begins."""
    hindered = None
    while not stopped.wait(every_s):
        try:
            do()
        except Exception as error:  # a thread that ended would leave a program that looks alive and does nothing
            if str(error) != hindered:
                log.warning("action=held_up reason=%s", error, exc_info=not isinstance(error, PixmillError))
            hindered = str(error)
        else:
            hindered = None
