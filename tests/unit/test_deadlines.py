from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from pipeline import deadlines
from pipeline.errors import DeadlineUnfit

NOW = datetime.fromisoformat("2026-11-20T13:00+01:00").timestamp()


@pytest.fixture(autouse=True)
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("90m", 5400), ("24h", 86_400), ("1.5h", 5400), ("2d", 172_800), ("2D", 172_800), (" 2 d ", 172_800)],
)
def test_a_span_counts_from_now(text: str, seconds: float) -> None:
    assert deadlines.parse(text, NOW) == NOW + seconds


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-21T08:00", "2026-11-21T08:00+01:00"),
        ("2026-11-21 08:00", "2026-11-21T08:00+01:00"),
        ("2027-07-01T08:00", "2027-07-01T08:00+02:00"),  # summer time by then
        ("2026-11-21T08:00Z", "2026-11-21T08:00+00:00"),
        ("2026-11-21T08:00-05:00", "2026-11-21T08:00-05:00"),
    ],
)
def test_a_moment_is_of_the_local_time_zone_unless_it_says(text: str, moment: str) -> None:
    assert deadlines.parse(text, NOW) == datetime.fromisoformat(moment).timestamp()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0h", "has passed already"),
        ("2026-11-20T12:59", "has passed already"),
        ("99999999d", "more than ten years away"),
        ("2100-12-31T23:59", "more than ten years away"),
        ("2026-11-21", "names no time of the day"),
        ("tomorrow", "neither a span nor a moment"),
        ("24", "neither a span nor a moment"),
        ("-2h", "neither a span nor a moment"),
        ("2026-13-01T08:00", "neither a span nor a moment"),
        ("", "neither a span nor a moment"),
    ],
)
def test_what_is_no_deadline_is_refused_with_a_sentence(text: str, why: str) -> None:
    with pytest.raises(DeadlineUnfit, match=f"{why}.*such as 90m, 24h or 2d"):
        deadlines.parse(text, NOW)
