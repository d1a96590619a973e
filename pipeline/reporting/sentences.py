"""A report's sentences: what changed since a moment, for people."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta

from pipeline.display import counted, duration, moment, number, printable, things
from pipeline.sources.filters import parse_since
from pipeline.store.changes import Changes, Difference, Slowdown

_DAYS = {"today": 0, "yesterday": 1}


def since(text: str, now: float | None = None) -> float:
    """The moment that is meant: yesterday and today begin at midnight, local time. Raises SinceUnfit."""
    now = time.time() if now is None else now
    if text in _DAYS:
        midnight = datetime.fromtimestamp(now).astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
        # Without its offset, since the day before may have had another.
        return (midnight.replace(tzinfo=None) - timedelta(days=_DAYS[text])).timestamp()
    return parse_since(text, now)


def lines(changes: Changes) -> Iterator[str]:
    """The report as text."""
    yield f"Since {moment(changes.since)}"
    for name, sentence in facts(changes):
        yield f"{name:<12}{sentence}"
    for slowdown in changes.slower:
        yield f"  {slower(slowdown)}"
    for one in changes.differences:
        yield from _both(one)
    if left := changes.differing - len(changes.differences):
        yield f"  and {number(left)} more: --limit 0 shows all."


def facts(changes: Changes) -> Iterator[tuple[str, str]]:
    """What there is to say in one line each."""
    yield "Answers", f"{number(sum(changes.answers.values()))} new{_by_model(changes)}"
    yield "Failures", f"{number(sum(changes.failures.values()))} new{_of(counted(changes.failures))}"
    yield "Unanswered", f"{things(changes.waiting, 'picture')} waiting, {number(changes.failed)} failed"
    yield "Slower", f"{things(len(changes.slower), 'machine')} than in the week before"
    yield "Different", f"{things(changes.differing, 'answer')} to the same picture and question"


def slower(slowdown: Slowdown) -> str:
    place = f"{printable(slowdown.host)} {slowdown.device}, {slowdown.family} {slowdown.build}"
    return f"{place}: {duration(slowdown.now_s)} an answer, {duration(slowdown.before_s)} before"


def _by_model(changes: Changes) -> str:
    copied = {"known by the picture's content": changes.copied}
    return _of(counted({**{printable(name): count for name, count in changes.answers.items()}, **copied}))


def _of(parts: str) -> str:
    return "" if parts == "none" else f": {parts}"


def _both(one: Difference) -> Iterator[str]:
    yield f"  {one.picture}: {printable(one.question)}"
    yield f"    before  {printable(one.before)}"
    yield f"    now     {printable(one.now)}"
