from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import click
import pytest
from click.testing import CliRunner

from pipeline.jobs import BatchState
from pipeline.locators import Picture
from pipeline.sources.rows import BadRow, Row
from pipeline.sources.sample import sample
from pipeline.store.values import Added, Counts, OpenBatch
from workers.engine.client import Figures
from workers.session import Outcome
from workers.trying.command import Remembering, for_all
from workers.trying.report import Report, rough


def rows(count: int) -> Iterator[Row | BadRow]:
    for number in range(count):
        yield Row(pictures=(Picture(f"file:///{number}.png", None, None),))
        if number % 10 == 0:
            yield BadRow(message="broken")


def names(size: int, count: int, seed: int) -> list[int]:
    found = sample(rows(count), size, seed)
    return [int(row.pictures[0].locator.removeprefix("file:///").removesuffix(".png")) for row in found.rows]


def test_a_sample_is_in_order_and_counts_all() -> None:
    found = sample(rows(100), 20, 1)
    assert (len(found.rows), found.seen, found.unfit) == (20, 100, 10)
    assert names(20, 100, 1) == sorted(set(names(20, 100, 1)))
    assert names(20, 100, 1) != names(20, 100, 2)
    assert names(20, 7, 1) == list(range(7))


def test_every_row_is_as_likely() -> None:
    drawn = Counter(name for seed in range(2000) for name in names(3, 10, seed))
    assert all(500 < drawn[number] < 700 for number in range(10)), drawn


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["in", "-q", "What's this?"], "pixmill run --question 'What'\"'\"'s this?' in"),
        (
            ["--size", "5", "-q", "a", "b", "-q", "c", "--no-cached"],
            "pixmill run --question a --question c --no-cached b",
        ),
        (["-rqx", "--", "-odd.png"], "pixmill run --recursive --question x -- -odd.png"),
        (["--cached", "--html=x y", "a b"], "pixmill run --cached 'a b'"),
        (["-q", "no place"], "pixmill run --question 'no place'"),
    ],
)
def test_the_command_for_all_is_the_one_that_was_given(given: list[str], wanted: str) -> None:
    @click.command(cls=Remembering)
    @click.argument("paths", nargs=-1)
    @click.option("-q", "--question", multiple=True)
    @click.option("-r", "--recursive", is_flag=True)
    @click.option("--cached/--no-cached")
    @click.option("--size", type=int)
    @click.option("--html")
    @click.pass_context
    def command(context: click.Context, **options: object) -> None:
        click.echo(for_all(context, ("pixmill", "run"), without=("size", "html")))

    ended = CliRunner().invoke(command, given)
    assert ended.output == f"{wanted}\n"


def test_times_are_told_roughly() -> None:
    told = [rough(seconds) for seconds in (0.1, 42, 700, 111_600, 500_000, 10**8)]
    assert told == ["1 s", "42 s", "12 min", "31 h", "6 days", "1,157 days"]


STOPPED = {"interrupted": True, "counts": Counts(total=2, queued=2)}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, ["All of these answers were known before, so no speed was measured; --force asks again."]),
        ({"counts": Counts(failed=2)}, ["None of these pictures could be answered, so no speed was measured."]),
        (
            STOPPED,
            ["It was stopped before a speed could be measured.", "2 answers still to come: the same command goes on."],
        ),
    ],
)
def test_without_a_speed_the_reason_is_told(changes: dict[str, Any], told: list[str]) -> None:
    outcome = Outcome(
        batch=OpenBatch(1, "try-1"),
        state=BatchState.COMPLETED,
        counts=Counts(total=2, done=2),
        added=Added(linked_done=2),
        cached=0,
        seconds=1.0,
        engine=Figures(),
        interrupted=False,
        all_seen=True,
    )
    changed = replace(outcome, added=Added(), **changes) if changes else outcome
    report = Report(items=(), in_all=2, unfit=0, outcome=changed, command="pixmill run")
    assert list(report.estimate()) == told
