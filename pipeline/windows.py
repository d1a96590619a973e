"""Windows: the hours of the day in which a batch works, as people write them: 22:00-06:00 Europe/Berlin."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pipeline import zones
from pipeline.errors import WindowUnfit

_FORM = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})(?:\s+(\S+))?")
_STEP_S = 60


@dataclass(frozen=True, slots=True)
class Window:
    """From one time of the day to another, perhaps past midnight, in one zone."""

    start: time
    end: time
    zone: str

    @classmethod
    def parse(cls, text: str, zone: str | None = None) -> Window:
        """The window, in the zone given or the local one where it names none. Raises WindowUnfit, ZoneUnknown."""
        if not (found := _FORM.fullmatch(text.strip())):
            raise WindowUnfit(text=text, why="is not two times of the day")
        try:
            start, end = time(int(found[1]), int(found[2])), time(int(found[3]), int(found[4]))
        except ValueError:
            raise WindowUnfit(text=text, why="names a time that no day has") from None
        if start == end:
            raise WindowUnfit(text=text, why="is empty")
        named = found[5] or zone or zones.local()
        zones.find(named)
        return cls(start, end, named)

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M} {self.zone}"

    def around(self, now: float) -> tuple[float, float]:
        """When the window that is open now opened and closes; else when the next one does."""
        zone = zones.find(self.zone)
        today = datetime.fromtimestamp(now, zone).date()
        spans = (self._of(today + timedelta(days=more), zone) for more in range(-1, 4))
        # On a day whose clocks jump over all of it, it does not open.
        return next((opens, closes) for opens, closes in spans if closes > max(now, opens))

    def _of(self, day: date, zone: ZoneInfo) -> tuple[float, float]:
        """The window that begins on this day. Of a time that comes twice it takes what keeps to its hours."""
        last = day + timedelta(days=self.end < self.start)
        opens = _moment(day, self.start, zone, fold=1)
        closes = _moment(last, self.end, zone, fold=0)
        return opens, closes if closes > opens else _moment(last, self.end, zone, fold=1)


def _moment(day: date, at: time, zone: ZoneInfo, *, fold: int) -> float:
    """When the clocks of the zone show it; where they jump over it, when they jump."""
    wanted = datetime.combine(day, at.replace(fold=fold), zone)
    shown = wanted.timestamp()
    if _shows(shown, zone) == (day, at):
        return shown
    # In a gap the later of the two readings has the offset after it, which leads to a moment before it.
    moment = wanted.replace(fold=1).astimezone(UTC).timestamp()
    while _shows(moment, zone) < (day, at):
        moment += _STEP_S
    return moment


def _shows(moment: float, zone: ZoneInfo) -> tuple[date, time]:
    shown = datetime.fromtimestamp(moment, zone)
    return shown.date(), shown.time().replace(fold=0)
