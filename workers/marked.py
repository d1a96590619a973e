"""Marked answers, on a terminal and as a page: figures in a table, then those answers that are worst."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib.resources import files
from typing import Protocol

import click

from pipeline.display import echo_json, number, table
from workers.pages import fill

LISTED = 10
"""of the worst, so many are shown on a terminal"""


class Marked(Protocol):
    """A report about marked answers."""

    def head(self) -> Sequence[str]: ...

    def rows(self) -> Iterator[tuple[str, ...]]: ...

    def sentences(self) -> Iterator[str]: ...

    def worst_head(self) -> Sequence[str]: ...

    def worst(self, most: int) -> Iterator[tuple[str, ...]]: ...

    def document(self) -> dict[str, object]: ...


def show(report: Marked, *, parting: int, left: str, as_json: bool) -> None:
    """The report on stdout. So many answers are `parting`; `left` is said of those of them that are not listed."""
    if as_json:
        echo_json(report.document())
        return
    for line in table(report.head(), report.rows()):
        click.echo(line)
    click.echo("\n".join(["", *report.sentences()]))
    if parting:
        click.echo()
        for line in table(report.worst_head(), report.worst(LISTED)):
            click.echo(line)
    if (more := parting - LISTED) > 0:
        click.echo(f"... and {number(more)} more that {left}")


def page(report: Marked, *, name: str, title: str, figures: Iterable[str], shown: str, cards: Iterable[str]) -> str:
    """The report as a page; `figures` and `cards` are HTML. `name` is for the browser's title, `title` the heading."""
    return fill(
        files("workers.pages") / "marked.html",
        name=escape(name),
        title=escape(title),
        lead="".join(f"<p>{escape(sentence)}</p>" for sentence in report.sentences()),
        figures="\n".join(figures),
        head="".join(f"<th>{escape(heading)}</th>" for heading in report.head()),
        rows="\n".join(map(_row, report.rows())),
        shown=escape(shown),
        cards="\n".join(cards),
    )


def _row(cells: Sequence[str]) -> str:
    name, *values = cells
    return f"<tr><th>{escape(name)}</th>{''.join(f'<td>{escape(value)}</td>' for value in values)}</tr>"
