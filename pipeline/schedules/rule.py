"""A rule: when a schedule fires, and what becomes of times that were missed or come while the last one runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Any

from cronsim import CronSim, CronSimError

from pipeline import zones
from pipeline.deadlines import span
from pipeline.display import moment
from pipeline.errors import CronUnfit, IntervalUnfit, ScheduleUnread, ZoneUnfit, ZoneUnknown

EXAMPLE = "0 2 * * *"
FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")
SHORTEST_S = 60.0
LONGEST_S = 366 * 86_400.0


class Overlap(StrEnum):
    SKIP = "skip"
    QUEUE = "queue"


class Missed(StrEnum):
    ONCE = "once"
    SKIP = "skip"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A cron expression in a zone, or an interval; one of them."""

    cron: str | None = None
    zone: str = "UTC"
    every_s: float | None = None
    anchor: float = 0.0
    """an interval's times lie whole intervals after it"""
    overlap: Overlap = Overlap.SKIP
    missed: Missed = Missed.ONCE
    grace_s: float = 600.0
    """a time is missed when it has passed by more than that"""

    def after(self, moment: float) -> float:
        """The first time after a moment."""
        return next(self.times(moment))

    def times(self, moment: float) -> Iterator[float]:
        """The times after a moment."""
        if self.every_s is not None:
            first = math.floor((moment - self.anchor) / self.every_s) + 1
            while True:
                yield self.anchor + first * self.every_s
                first += 1
        # Expressions whose hours are given follow the wall clock: cronsim runs what a gap swallows right after it,
        # and what an hour shows twice once. Those it hands out around a change may lie before the moment itself.
        for found in CronSim(str(self.cron), datetime.fromtimestamp(moment, zones.find(self.zone))):
            if found.timestamp() > moment:
                yield found.timestamp()

    def stored(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_stored(cls, schedule: str, stored: Mapping[str, Any]) -> Rule:
        """The rule of a schedule. Raises ScheduleUnread: a newer version wrote it, or its zone is not known here."""
        try:
            rule = cls(**{**stored, "overlap": Overlap(stored["overlap"]), "missed": Missed(stored["missed"])})
            rule.after(rule.anchor)
        except ZoneUnknown as error:
            raise ScheduleUnread(name=schedule, why=str(error)) from error
        except (CronSimError, TypeError, ValueError, KeyError, StopIteration) as error:
            why = "it says when in a way that this version of Pixmill does not know."
            raise ScheduleUnread(name=schedule, why=why) from error
        return rule


def check_zone(name: str, now: float) -> str:
    """The zone, if there is one of that name. Raises ZoneUnfit, which shows times of one that there is."""
    try:
        zones.find(name)
    except ZoneUnknown as error:
        zone = zones.local()
        raise ZoneUnfit(why=error, example=EXAMPLE, zone=zone, runs=_examples(zone, now)) from None
    return name


def check_cron(text: str, zone: str, now: float) -> str:
    """The expression, if it is one that comes up. Raises CronUnfit, which shows the part that is wrong."""
    parts = text.split()
    if len(parts) != len(FIELDS):
        raise _unfit(text, f"it has {len(parts)} parts instead of {len(FIELDS)} ({', '.join(FIELDS)})", zone, now)
    for place, (part, name) in enumerate(zip(parts, FIELDS, strict=True)):
        alone = ["*"] * len(FIELDS)
        alone[place] = part
        if not _parses(" ".join(alone), zone, now):
            raise _unfit(text, f"{part!r} is no {name}", zone, now)
    if not _parses(text, zone, now):
        raise _unfit(text, "no day of the calendar fits it", zone, now)
    return " ".join(parts)


def check_interval(text: str) -> float:
    """Seconds of 15m, 6h or 2d. Raises IntervalUnfit."""
    seconds = span(text)
    if seconds is None:
        raise IntervalUnfit(text=text, why="is no span of time")
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise IntervalUnfit(text=text, why="is not between a minute and a year")
    return seconds


def _parses(cron: str, zone: str, now: float) -> bool:
    try:
        return next(CronSim(cron, datetime.fromtimestamp(now, zones.find(zone))), None) is not None
    except (CronSimError, AssertionError):  # the latter where a step follows something that has no start, such as 1#2/3
        return False


def _unfit(text: str, why: str, zone: str, now: float) -> CronUnfit:
    return CronUnfit(text=text, why=why, example=EXAMPLE, runs=_examples(zone, now))


def _examples(zone: str, now: float) -> str:
    return ", ".join(map(moment, islice(Rule(cron=EXAMPLE, zone=zone).times(now), 3)))
