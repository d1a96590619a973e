"""Progress of long work on stderr: a bar on a terminal, a line now and then elsewhere.

The caller feeds absolute counts. A total may be unknown, or still grow while rows are added.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from pipeline.display import duration, number, size
from pipeline.rate import Rate

T = TypeVar("T")

LOOK_EACH = 1_000
"""things that pass between two looks at the clock"""
WINDOW_S = 30.0
"""the rate is that of the last half minute: captions of a folder differ in length"""


class Unit(NamedTuple):
    """How amounts and rates are spelled."""

    amount: Callable[[int], str]
    rate: Callable[[float], str]


COUNT = Unit(number, lambda rate: f"{rate:,.{1 if rate < 100 else 0}f}/s")
BYTES = Unit(size, lambda rate: f"{size(round(rate))}/s")


@dataclass(frozen=True, slots=True)
class Tally:
    """How far the work is. `growing`: the total is only what is known so far."""

    done: int = 0
    failed: int = 0
    total: int | None = None
    growing: bool = False

    @property
    def ended(self) -> int:
        return self.done + self.failed


class Progress:
    """A context manager; `update` shows counts, `note` says a line above the bar.

    On a terminal a bar is drawn at most every `BAR_S` seconds, elsewhere a line at most every `LINE_S`;
    the last state is always shown. Of work that ends within `after_s` nothing is.
    """

    BAR_S = 0.2
    LINE_S = 5.0

    def __init__(
        self,
        label: str = "",
        *,
        unit: Unit = COUNT,
        quiet: bool = False,
        after_s: float = 0.0,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._label = label
        self._unit = unit
        self._console = console or Console(stderr=True, highlight=False)
        self._clock = clock
        self._quiet = quiet
        self._after_s = after_s
        self._begun = clock()
        self._tally = Tally()
        self._rate = Rate(WINDOW_S)
        self._shown: tuple[float, Tally] | None = None
        self._bar: Bar | None = None

    def __enter__(self) -> Self:
        self._begun = self._clock()
        if not self._after_s:
            self._draw()
        return self

    def _draw(self) -> None:
        if self._console.is_terminal and not self._quiet:
            self._bar = Bar(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.fields[figures]}", markup=False),
                console=self._console,
                auto_refresh=False,
                get_time=self._clock,
                # Else what is meant for a file or a pipe would come out here: rich does not ask where stdout goes.
                redirect_stdout=sys.stdout.isatty(),
            )
            self._bar.add_task(self._label, total=None, figures="")
            self._bar.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown is not None and self._shown[1] != self._tally:
            self._show(self._clock())
        if self._bar is not None:
            self._bar.stop()

    def update(self, *, done: int, failed: int = 0, total: int | None = None, growing: bool = False) -> None:
        """Say how far the work is; called as often as one likes."""
        now = self._clock()
        self._tally = Tally(done, failed, total, growing)
        if now < self._begun + self._after_s:
            return
        every = self.BAR_S if self._bar is not None else self.LINE_S
        if self._shown is None or now - self._shown[0] >= every:
            self._show(now)

    def follow(self, things: Iterable[T]) -> Iterator[T]:
        """The same things; they are counted as they pass, and nobody knows how many there are."""
        for count, thing in enumerate(things, 1):
            if count % LOOK_EACH == 0:
                self.update(done=count)
            yield thing

    def stage(self, label: str) -> None:
        """Another stretch of the work begins, with counts and a rate of its own."""
        self._label, self._tally, self._rate, self._shown = label, Tally(), Rate(WINDOW_S), None
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], description=label)

    def note(self, text: str) -> None:
        """A line that stays."""
        if not self._quiet:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _show(self, now: float) -> None:
        if self._shown is None and self._bar is None:
            self._draw()
        self._shown = (now, self._tally)
        self._rate.see(now, self._tally.ended)
        text = figures(self._tally, self._rate.per_second, self._unit)
        if self._bar is not None:
            shown = None if self._tally.growing else self._tally.total
            self._bar.update(self._bar.task_ids[0], completed=self._tally.ended, total=shown, figures=text)
            self._bar.refresh()
        else:
            self.note(f"{self._label} {text}".strip())


def figures(tally: Tally, rate: float | None, unit: Unit = COUNT) -> str:
    """`1,200 of 5,000 · 3 failed · 2.1/s · 30 min 10 s left`."""
    parts = [_of(tally, unit)]
    if tally.failed:
        parts.append(f"{number(tally.failed)} failed")
    if rate is not None:
        parts.append(unit.rate(rate))
        if tally.total is not None and not tally.growing and tally.total > tally.ended:
            parts.append(f"{duration((tally.total - tally.ended) / rate)} left")
    return " · ".join(parts)


def _of(tally: Tally, unit: Unit) -> str:
    if tally.total is None:
        return unit.amount(tally.ended)
    return f"{unit.amount(tally.ended)} of {unit.amount(tally.total)}{'+' if tally.growing else ''}"
