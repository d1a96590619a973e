"""The results of a batch as a command leaves them: in files, while it is answered or at its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pipeline.errors import UsageError
from pipeline.export import export, format_of
from pipeline.export.files import STDOUT
from pipeline.export.growing import Growing, growing
from pipeline.export.openai import line
from pipeline.export.order import Order
from pipeline.jobs import State
from pipeline.store.following import Mark
from pipeline.store.views import Views

LOOK_EVERY_S = 0.25
PAGES = 4
"""so many pages of items are written at a time, then what else is to be done has its turn"""


class Results(Protocol):
    """Where the results of a batch go."""

    def follow(self, views: Views, batch: str, end: int | None) -> None:
        """Something may have ended, in the rows before `end`."""
        ...

    def finish(self, views: Views, batch: str, end: int | None, *, complete: bool) -> int | None:
        """Nothing more will end for now; `complete` if all has. Returns how many lines were written, if any were to."""
        ...


@contextmanager
def results(output: str | None, errors: str | None, *, live: bool) -> Iterator[Results]:
    """Where results go: nowhere, line by line as they come, or into a file at the end. Raises what hinders that."""
    if errors == output is not None:
        raise UsageError(detail=f"The answers and the failures are both to go to {output}: leave out --errors.")
    if output is None:
        if errors is not None:
            raise UsageError(detail="--errors parts the failures from the answers, which -o FILE writes: give both.")
        yield Nowhere()
    elif not live:
        yield AtTheEnd(output, errors)
    else:
        with ExitStack() as stack:
            answers = stack.enter_context(growing(output))
            yield Live(answers, answers if errors is None else stack.enter_context(growing(errors)))


class Nowhere:
    """They are looked up in the database."""

    def follow(self, views: Views, batch: str, end: int | None) -> None:
        pass

    def finish(self, views: Views, batch: str, end: int | None, *, complete: bool) -> int | None:
        return None


class AtTheEnd:
    """They are exported when the batch has ended; what is there stays until then, and when a person stops it before."""

    def __init__(self, output: str, errors: str | None) -> None:
        self._output, self._errors, self._format = output, errors, format_of(output)
        for name in (output, errors):
            if name not in (None, STDOUT) and not Path(name).absolute().parent.is_dir():
                raise UsageError(detail=f"{name} cannot be written: there is no such folder.")

    def follow(self, views: Views, batch: str, end: int | None) -> None:
        pass

    def finish(self, views: Views, batch: str, end: int | None, *, complete: bool) -> int | None:
        if not complete:
            return None
        return export(views.items(batch), self._format, Order(target=self._output), self._errors).written


@dataclass
class Live:
    """Each item's line is written when the item has ended."""

    answers: Growing
    errors: Growing
    now: Callable[[], float] = time.monotonic
    _mark: Mark = field(default_factory=Mark)
    _looked: float = float("-inf")

    def follow(self, views: Views, batch: str, end: int | None) -> None:
        if self.now() - self._looked < LOOK_EVERY_S:
            return
        for _ in range(PAGES):
            if not self._step(views, batch, end):
                break
        self._flush()
        self._looked = self.now()

    def finish(self, views: Views, batch: str, end: int | None, *, complete: bool) -> int:
        """What stands in the files of a complete batch besides its own lines goes."""
        while self._step(views, batch, end):
            pass
        self._flush()
        for file in self._files if complete else ():
            file.drop_strangers()
        return sum(file.written for file in self._files)

    def _step(self, views: Views, batch: str, end: int | None) -> bool:
        """A page. Whether there may be more."""
        before = self._mark
        items, self._mark = views.ended_since(batch, before, end)
        for item in items:
            (self.answers if item.state is State.DONE else self.errors).write(line(item))
        return bool(items) or self._mark != before

    def _flush(self) -> None:
        for file in self._files:
            file.flush()

    @property
    def _files(self) -> tuple[Growing, ...]:
        return (self.answers,) if self.answers is self.errors else (self.answers, self.errors)
