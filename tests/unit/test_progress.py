from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from pipeline.progress import BYTES, Progress, Tally, figures
from pipeline.rate import Rate


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=terminal, width=100, highlight=False, legacy_windows=False), out


def test_lines_come_every_few_seconds_and_at_the_end() -> None:
    screen, out = console(terminal=False)
    clock = Clock()
    with Progress(console=screen, clock=clock) as progress:
        for step in range(21):
            progress.update(done=step, total=20)
            clock.now += 0.5
    lines = out.getvalue().splitlines()
    assert lines == ["0 of 20", "10 of 20 · 2.0/s · 5.0 s left", "20 of 20 · 2.0/s"]


def test_another_stretch_has_counts_and_a_rate_of_its_own() -> None:
    screen, out = console(terminal=False)
    clock = Clock()
    with Progress("reading", console=screen, clock=clock) as progress:
        progress.update(done=0, total=9)
        clock.now += 10
        progress.update(done=9, total=9)
        progress.stage("writing")
        progress.update(done=0, total=3)
        progress.update(done=3, total=3)
    lines = out.getvalue().splitlines()
    assert lines == ["reading 0 of 9", "reading 9 of 9 · 0.9/s", "writing 0 of 3", "writing 3 of 3"]


def test_work_that_is_soon_done_shows_nothing() -> None:
    screen, out = console(terminal=False)
    clock = Clock()
    with Progress(after_s=2, console=screen, clock=clock) as progress:
        progress.update(done=7, total=9)
        progress.update(done=9, total=9)
    assert out.getvalue() == ""


def test_things_are_counted_as_they_pass() -> None:
    screen, out = console(terminal=False)
    clock = Clock()

    def slow() -> Iterator[int]:
        for number in range(4_500):
            clock.now += 0.003
            yield number

    with Progress("rows", after_s=4, console=screen, clock=clock) as progress:
        assert list(progress.follow(slow())) == list(range(4_500))
    assert out.getvalue().splitlines() == ["rows 2,000", "rows 4,000 · 333/s"]


def test_bytes_are_spelled_as_bytes() -> None:
    assert figures(Tally(done=1_200_000, total=512_000_000), 2_500_000.4, BYTES) == (
        "1.2 MB of 512 MB · 2.5 MB/s · 3 min 24 s left"
    )


def test_the_last_state_is_shown_once_also_after_an_error() -> None:
    screen, out = console(terminal=False)
    with pytest.raises(RuntimeError), Progress(console=screen, clock=Clock()) as progress:
        progress.update(done=1, total=3)
        progress.update(done=1, failed=1, total=3)
        raise RuntimeError
    assert out.getvalue().splitlines() == ["1 of 3", "2 of 3 · 1 failed"]


def test_quiet_says_nothing() -> None:
    for terminal in (False, True):
        screen, out = console(terminal=terminal)
        with Progress(console=screen, clock=Clock(), quiet=True) as progress:
            progress.update(done=1, total=3)
            progress.note("a note")
        assert out.getvalue() == ""


def test_work_that_never_began_says_nothing() -> None:
    screen, out = console(terminal=False)
    with Progress(console=screen, clock=Clock()):
        pass
    assert out.getvalue() == ""


def test_a_terminal_gets_a_bar_with_notes_above() -> None:
    screen, out = console(terminal=True)
    clock = Clock()
    with Progress("captions", console=screen, clock=clock) as progress:
        progress.update(done=0, total=4, growing=True)
        clock.now += 0.01
        progress.update(done=1, total=4)
        progress.note("the engine was started anew [1]")
        clock.now += 1.0
        progress.update(done=2, failed=1, total=4)
    text = out.getvalue()
    assert "\x1b[" in text
    assert "captions" in text
    assert "0 of 4+" in text
    assert "the engine was started anew [1]" in text
    assert "3 of 4 · 1 failed" in text
    assert "1 of 4" not in text, "drawn more often than five times a second"


def test_the_rate_forgets_what_is_long_past_and_what_was_done_before() -> None:
    rate = Rate(window_s=30)
    assert rate.per_second is None
    rate.see(0.0, 1000)
    assert rate.per_second is None
    for second in range(1, 101):
        rate.see(float(second), 1000 + 10 * second)
    for second in range(101, 140):
        rate.see(float(second), 2000 + 2 * (second - 100))
    assert rate.per_second == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("tally", "rate", "text"),
    [
        (Tally(5), None, "5"),
        (Tally(5, 0, None), 3.0, "5 · 3.0/s"),
        (Tally(1200, 3, 5000), 2.0, "1,203 of 5,000 · 3 failed · 2.0/s · 31 min 38 s left"),
        (Tally(5, 0, 10, True), 1234.5, "5 of 10+ · 1,234/s"),
        (Tally(10, 0, 10), 2.0, "10 of 10 · 2.0/s"),
    ],
)
def test_figures(tally: Tally, rate: float | None, text: str) -> None:
    assert figures(tally, rate) == text
