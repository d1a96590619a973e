"""Filters: which of the rows that were found are taken, and in which order."""

from __future__ import annotations

import fnmatch
import functools
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from pipeline.deadlines import span
from pipeline.errors import SinceUnfit
from pipeline.locators import Picture, open_member
from pipeline.sources.rows import BadRow, Rows
from pipeline.sources.shuffling import shuffled

_NS = 10**9
Note = Callable[[str], None]


class LeftOut(Exception):
    """A row that --include or --exclude leaves out."""


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What a command asks of its rows."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    min_size: int | None = None
    max_size: int | None = None
    since: float | None = None
    """seconds since 1970"""
    shuffle_seed: int | None = None
    """none: in the order of the input"""
    limit: int | None = None

    def wanted(self, name: str) -> bool:
        """Whether a name, as the input has it, fits --include and --exclude."""
        return self._included(name) and not self._excluded(name)

    def check(self, name: str) -> None:
        """Raise LeftOut unless a name is wanted."""
        if not self.wanted(name):
            raise LeftOut

    def left_out(self, name: str) -> bool:
        """Whether --exclude names it: a folder of such a name is not entered."""
        return self._excluded(name)

    def fits(self, size: int | None, mtime_ns: int | None) -> bool:
        """Whether a file is large enough and new enough. What is not known is no reason to leave it out."""
        if size is not None and not (self.min_size or 0) <= size <= (size if self.max_size is None else self.max_size):
            return False
        return self.since is None or mtime_ns is None or mtime_ns >= self.since * _NS

    def rows(self, rows: Rows, note: Note) -> Rows:
        """The rows that are taken, in the order that was asked for. Rows that cannot be used stay, to be seen."""
        taken = self._fitting(rows, note) if self._looks_at_files else rows
        ordered = taken if self.shuffle_seed is None else shuffled(taken, self.shuffle_seed)
        return islice(ordered, self.limit)

    @property
    def _looks_at_files(self) -> bool:
        return (self.min_size, self.max_size, self.since) != (None, None, None)

    def _fitting(self, rows: Rows, note: Note) -> Rows:
        taken = left_out = 0
        for row in rows:
            if isinstance(row, BadRow) or all(map(self._fits, row.pictures)):
                taken += 1
                yield row
            else:
                left_out += 1
        if left_out and not taken:
            note(f"--min-size, --max-size or --since left out all that was found ({left_out:,})")

    def _fits(self, picture: Picture) -> bool:
        # The size noted for a member is its archive's: members are measured where they are found.
        return self.fits(None if open_member(picture.locator) is not None else picture.size, picture.mtime_ns)

    @functools.cached_property
    def _included(self) -> Callable[[str], bool]:
        return _matcher(self.include, otherwise=True)

    @functools.cached_property
    def _excluded(self) -> Callable[[str], bool]:
        return _matcher(self.exclude, otherwise=False)


EVERYTHING = Filters()


def parse_since(text: str, now: float | None = None) -> float:
    """The moment that a date names, or a span before now. Raises SinceUnfit."""
    seconds = span(text)
    if seconds is not None:
        return (time.time() if now is None else now) - seconds
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError):
        raise SinceUnfit(text=text) from None


def _matcher(patterns: Sequence[str], *, otherwise: bool) -> Callable[[str], bool]:
    """Whether a relative path, or the name at its end, fits one of the patterns."""
    if not patterns:
        return lambda path: otherwise
    fits = re.compile("|".join(fnmatch.translate(pattern.rstrip("/")) for pattern in patterns)).match
    return lambda path: bool(fits(path) or fits(os.path.basename(path)))
