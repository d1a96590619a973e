"""A rate: how many things a second over the last while, from counts that are seen now and then."""

from __future__ import annotations

from collections import deque


class Rate:
    """Things a second over the last window. What was there at the first look does not count."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._seen: deque[tuple[float, int]] = deque()

    def see(self, now: float, count: int) -> None:
        self._seen.append((now, count))
        while len(self._seen) > 2 and self._seen[1][0] <= now - self._window_s:
            self._seen.popleft()

    @property
    def per_second(self) -> float | None:
        if not self._seen:
            return None
        (start, first), (end, last) = self._seen[0], self._seen[-1]
        return (last - first) / (end - start) if end > start and last > first else None
