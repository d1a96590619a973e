"""When schedules fire and windows open, across the changes of the clocks."""

from __future__ import annotations

from datetime import datetime
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import zones
from pipeline.errors import CronUnfit, IntervalUnfit, ScheduleUnread, WindowUnfit, ZoneUnfit, ZoneUnknown
from pipeline.schedules.rule import Rule, check_cron, check_interval, check_zone
from pipeline.windows import Window

CHANGES = [  # zone, the day of the change, whether an hour is missing
    ("Europe/Berlin", "2026-03-29", True),
    ("Europe/Berlin", "2026-10-25", False),
    ("America/New_York", "2026-03-08", True),
    ("America/New_York", "2026-11-01", False),
    ("Australia/Lord_Howe", "2026-10-04", True),  # half an hour
    ("Australia/Lord_Howe", "2026-04-05", False),
    ("America/Santiago", "2026-09-06", True),  # at midnight
    ("America/Santiago", "2026-04-05", False),
]
HOUR, DAY = 3600, 86_400
of_the_day = st.integers(0, 24 * 60 - 1)


def at(text: str, zone: str = "Europe/Berlin") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def shown(moment: float, zone: str) -> str:
    return f"{datetime.fromtimestamp(moment, ZoneInfo(zone)):%H:%M}"


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(CHANGES), of_the_day, st.integers(-2 * DAY, 0))
def test_a_time_of_the_day_comes_once_on_each_day(change: tuple[str, str, bool], minute: int, before: int) -> None:
    zone, day, _ = change
    rule = Rule(cron=f"{minute % 60} {minute // 60} * * *", zone=zone)
    start = at(f"{day}T00:00", zone) - DAY + before
    times = list(islice(rule.times(start), 6))
    days = [datetime.fromtimestamp(time, ZoneInfo(zone)).date() for time in times]
    assert all((later - earlier).days == 1 for earlier, later in pairwise(days))
    wrong = [time for time in times if shown(time, zone) != f"{minute // 60:02}:{minute % 60:02}"]
    assert len(wrong) <= 1, "only a time that the clocks jump over comes at another"


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(CHANGES), st.integers(0, 3 * DAY), st.sampled_from([5, 15, 30]))
def test_what_comes_all_the_time_keeps_its_distance(change: tuple[str, str, bool], later: int, minutes: int) -> None:
    rule = Rule(cron=f"*/{minutes} * * * *", zone=change[0])
    times = list(islice(rule.times(at(f"{change[1]}T00:00", change[0]) - DAY + later), 100))
    assert all(later - earlier == minutes * 60 for earlier, later in pairwise(times))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(CHANGES), st.sampled_from(["30 2 * * *", "0,30 1-3 * * *", "*/10 0 * * *", "15 * * * *"]))
def test_the_next_time_asked_for_one_by_one_is_the_same_as_in_a_row(change: tuple[str, str, bool], cron: str) -> None:
    rule = Rule(cron=cron, zone=change[0])
    moment = start = at(f"{change[1]}T00:00", change[0]) - HOUR
    for time in islice(rule.times(start), 20):
        assert rule.after(moment) == time > moment
        moment = time


@given(st.floats(0, 4e9), st.sampled_from([60.0, 900.0, 86_400.0]), st.floats(0, 4e9))
def test_an_interval_comes_whole_intervals_after_its_anchor(anchor: float, every: float, moment: float) -> None:
    rule = Rule(every_s=every, anchor=anchor)
    found = rule.after(moment)
    assert moment - 1e-3 < found <= moment + every + 1e-3
    assert abs((found - anchor) / every - round((found - anchor) / every)) < 1e-6


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(CHANGES), of_the_day, of_the_day, st.integers(-DAY, 2 * DAY))
def test_a_window_is_open_at_its_hours_alone(change: tuple[str, str, bool], start: int, end: int, later: int) -> None:
    if start == end:
        return
    zone, day, _ = change
    first, last = (f"{minute // 60:02}:{minute % 60:02}" for minute in (start, end))
    now = at(f"{day}T00:00", zone) + later
    opens, closes = Window.parse(f"{first}-{last} {zone}").around(now)
    assert opens < closes
    assert closes > now
    for step in range(int(opens), int(closes), 15 * 60):
        of_window = shown(step, zone)
        inside = first <= of_window < last if first < last else of_window >= first or of_window < last
        # An hour that comes twice may lie on both sides of an edge: the window does not stop in between.
        twice = (
            datetime.fromtimestamp(step, ZoneInfo(zone)).replace(fold=0).timestamp()
            != datetime.fromtimestamp(step, ZoneInfo(zone)).replace(fold=1).timestamp()
        )
        assert inside or twice


def test_a_window_past_midnight_is_open_on_both_sides_of_it() -> None:
    window = Window.parse("22:00-06:00 Europe/Berlin")
    night = (at("2026-11-20T22:00"), at("2026-11-21T06:00"))
    assert window.around(at("2026-11-20T12:00")) == night
    assert window.around(at("2026-11-20T23:59")) == night
    assert window.around(at("2026-11-21T05:59")) == night
    assert window.around(at("2026-11-21T06:00"))[0] == at("2026-11-21T22:00")
    assert str(window) == "22:00-06:00 Europe/Berlin"


def test_a_window_takes_the_hours_that_the_clocks_show() -> None:
    opens, closes = Window.parse("22:00-06:00 Europe/Berlin").around(at("2026-03-28T23:00"))
    assert closes - opens == 7 * HOUR
    opens, closes = Window.parse("22:00-06:00 Europe/Berlin").around(at("2026-10-24T23:00"))
    assert closes - opens == 9 * HOUR
    opens, _ = Window.parse("02:30-06:00 Europe/Berlin").around(at("2026-03-29T00:00"))
    assert shown(opens, "Europe/Berlin") == "03:00"


@pytest.mark.parametrize("text", ["22-6", "25:00-06:00", "22:00-22:00", "", "22:00", "22:61-23:00"])
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(WindowUnfit):
        Window.parse(text)


@pytest.mark.parametrize(
    ("cron", "why"),
    [
        ("0 25 * * *", "'25' is no hour"),
        ("x 2 * * *", "'x' is no minute"),
        ("0 2 32 * *", "'32' is no day of the month"),
        ("0 2 * MARCH *", "'MARCH' is no month"),
        ("0 2 * * 8", "'8' is no day of the week"),
        ("0 2 * * 1#2/3", "'1#2/3' is no day of the week"),
        ("0 2 30 2 *", "no day of the calendar"),
        ("0 2 * *", "4 parts instead of 5"),
        ("", "0 parts"),
    ],
)
def test_a_wrong_expression_shows_its_wrong_part_and_the_runs_of_a_right_one(cron: str, why: str) -> None:
    with pytest.raises(CronUnfit, match=why) as caught:
        check_cron(cron, "UTC", at("2026-11-20T12:00", "UTC"))
    assert str(caught.value).count("2026-11-2") == 3


def test_what_is_no_interval_or_zone_is_refused() -> None:
    assert check_interval("15m") == 900
    for text in ("1s", "400d", "often"):
        with pytest.raises(IntervalUnfit):
            check_interval(text)
    for name in ("europe/berlin", "Europe/Berln"):
        with pytest.raises(ZoneUnknown, match="did you mean 'Europe/Berlin'"):
            zones.find(name)
    for name in ("Europe", "../x", "nowhere at all"):
        with pytest.raises(ZoneUnknown):
            zones.find(name)


def test_a_wrong_zone_shows_the_runs_of_a_right_one() -> None:
    with pytest.raises(ZoneUnfit, match="did you mean 'Europe/Berlin'") as caught:
        check_zone("Europe/Berln", at("2026-11-20T12:00", "UTC"))
    assert str(caught.value).count("2026-11-2") == 3


@pytest.mark.parametrize("stored", [{"sunrise": True}, {"cron": "0 2 30 2 *"}, {"cron": "x"}, {"overlap": "sometimes"}])
def test_a_rule_that_this_version_does_not_know_is_one_sentence(stored: dict[str, object]) -> None:
    rule = Rule(cron="0 2 * * *", zone="Europe/Berlin")
    assert Rule.from_stored("night", rule.stored()) == rule
    with pytest.raises(ScheduleUnread, match="in a way that this version of Pixmill does not know"):
        Rule.from_stored("night", {**rule.stored(), **stored})


def test_the_local_zone_is_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert zones.local() == "Asia/Tokyo"
