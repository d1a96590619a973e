"""`pixmill prune`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from pipeline import listing
from pipeline.context import open_to_read
from pipeline.deadlines import span
from pipeline.display import echo_lines, note, number, size, table, things
from pipeline.errors import AgeUnfit
from pipeline.settings import read_settings

if TYPE_CHECKING:
    from pipeline.housekeeping import Amount
    from pipeline.store.space import Room

KINDS = (
    "batches",
    "jobs",
    "answers",
    "prompts",
    "images",
    "workers",
    "watched",
    "firings",
    "blobs",
    "cache",
    "staging",
)
"""the names in `pipeline.housekeeping.KINDS`, which is loaded when it is needed"""
_REWRITTEN_A_SECOND = 50_000_000


@click.command()
@click.option("--older-than", default="90d", show_default=True, metavar="SPAN", help="What is younger stays: 90d, 24h.")
@click.option("--what", multiple=True, type=click.Choice(KINDS), help="Only this kind. Repeatable; all by default.")
@click.option("--yes", is_flag=True, help="Remove it. Otherwise only show what would go.")
@listing.json_lines
def prune(older_than: str, what: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Show what is old and needed by nothing, or remove it.

    What a live batch wants stays, and what a person reviewed. Others go on meanwhile. It may be stopped at any
    time; the same command goes on.
    """
    from pipeline import housekeeping
    from pipeline.housekeeping.place import Place

    settings, age = read_settings(), _age(older_than)
    with open_to_read(settings) as store:
        place = Place(store=store, settings=settings, before=store.housekeeping.now() - age)
        names = tuple(name for name in KINDS if name in (what or KINDS))
        if not yes:
            _show(list(housekeeping.look(place, names)), as_json=as_json)
            _announce(store.housekeeping.room())
            return
        store.settle()
        for name in names:
            rows, freed = housekeeping.prune(place, name, tell=note)
            if rows:
                note(f"{name}: {number(rows)} removed{f', {size(freed)}' if freed else ''}")
        note(housekeeping.shrink(store))


def _age(text: str) -> float:
    seconds = span(text)
    if seconds is None:
        raise AgeUnfit(text=text, why="is no span")
    return seconds


def _show(amounts: list[Amount], *, as_json: bool) -> None:
    from pipeline.housekeeping import KINDS as ABOUT

    if as_json:
        echo_lines(amounts)
        return
    rows = [(one.what, _said(one.counts, one.bytes), ABOUT[one.what].help) for one in amounts]
    for line in table(("WHAT", "HOW MUCH", "WHICH"), rows):
        click.echo(line)
    note("Nothing is removed yet: --yes removes it.")


def _said(counts: Mapping[str, int], freed: int | None) -> str:
    parts = [
        things(count, name) if not name.endswith("ch") else _batches(count) for name, count in counts.items() if count
    ]
    return ", ".join([*parts, *([size(freed)] if freed else [])]) or "-"


def _batches(count: int) -> str:
    return f"{number(count)} batch{'' if count == 1 else 'es'}"


def _announce(room: Room | None) -> None:
    if room is None:
        return
    if room.steps:
        note(f"{room.file} ({size(room.size)}) becomes smaller step by step then, while others use it.")
    else:
        seconds = max(1, round(room.size / _REWRITTEN_A_SECOND))
        note(
            f"{room.file} ({size(room.size)}) is written anew then, unless workers are at work: that takes about "
            f"{things(seconds, 'second')} and {size(room.size)} of room beside it, once."
        )
