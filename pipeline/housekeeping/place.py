"""Where it is tidied: a store, the settings' folders, and the time before which things are old."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pipeline.settings import Settings
    from pipeline.store import Store

T = TypeVar("T")

_SHARE = 0.5
"""of the time that a step took: so much of it is left to others before the next one"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """What is tidied."""

    store: Store
    settings: Settings
    before: float

    @staticmethod
    def gently(steps: Iterable[T]) -> Iterator[T]:
        """The steps, with pauses. SQLite wakes nobody who waits for its lock: they look now and then."""
        source = iter(steps)
        while True:
            began = time.monotonic()
            try:
                step = next(source)
            except StopIteration:
                return
            yield step
            time.sleep((time.monotonic() - began) * _SHARE)
