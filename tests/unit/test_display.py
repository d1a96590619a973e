from __future__ import annotations

import json
from dataclasses import dataclass
from types import MappingProxyType

import pytest

from pipeline import display


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 00 min"),
        (5 * 3600 + 120, "5 h 02 min"),
        (51 * 3600, "2 d 03 h"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert display.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9_960, "10 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (512_000_000, "512 MB"),
        (3_100_000_000, "3.1 GB"),
        (10**16, "10,000 TB"),
    ],
)
def test_size(count: int, text: str) -> None:
    assert display.size(count) == text


def test_moment_is_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC-2")
    time.tzset()
    try:
        assert display.moment(0.0) == "1970-01-01 02:00"
    finally:
        monkeypatch.undo()
        time.tzset()
    assert display.moment(None) == "-"


def test_printable_is_one_harmless_line() -> None:
    assert display.printable("a\nb\tc") == "a b c"
    assert "\x1b" not in display.printable("\x1b[31mred")
    assert display.printable("Grüße, 世界") == "Grüße, 世界"


def test_counted() -> None:
    assert display.counted({"queued": 0, "done": 1234, "in_progress": 1}) == "1,234 done, 1 in progress"
    assert display.counted({"queued": 0}) == "none"


def test_table_aligns_wide_characters() -> None:
    lines = list(display.table(("name", "n"), [("世界", "1"), ("abcdefg", "22"), ("x\ny", "3")]))
    assert lines == ["name     n", "世界     1", "abcdefg  22", "x y      3"]


def test_a_terminal_gets_clipped_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "terminal_width", lambda: 10)
    assert display.clip("世界世界世界") == "世界世界 …"
    assert display.clip("0123456789") == "0123456789"


def test_long_texts_share_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "terminal_width", lambda: 56)
    assert display.shortened("a" * 20, 2) == "a" * 20
    assert display.shortened("a" * 21, 2) == "a" * 19 + "…"
    assert len(display.shortened("a" * 99, 9)) == 12, "too narrow to read says nothing"
    monkeypatch.setattr(display, "terminal_width", lambda: None)
    assert len(display.shortened("a" * 99, 2)) == 72


@dataclass(frozen=True, slots=True)
class Inner:
    digest: bytes


@dataclass(frozen=True, slots=True)
class Outer:
    inner: Inner
    more: tuple[Inner, ...]
    map: MappingProxyType[str, int]


def test_json_of_rows() -> None:
    row = Outer(Inner(b"\x01"), (Inner(b"\x02"),), MappingProxyType({"a": 1}))
    expected = {"inner": {"digest": "01"}, "more": [{"digest": "02"}], "map": {"a": 1}}
    assert json.loads(display.to_json(row)) == expected
    with pytest.raises(TypeError):
        display.to_json(object())


@pytest.mark.parametrize("text", ["世界", "\U0001f600", "\udcff"])
def test_json_can_be_printed_in_ascii(text: str) -> None:
    line = display.to_json({"a": text}, ascii_only=True)
    assert line.isascii()
    assert json.loads(line) == {"a": text}
