"""Options that every listing has, and what it says about what it left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import click

from pipeline.display import number

F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R")


def json_lines(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="JSON lines: one object a line.")(command)


def json_document(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="One JSON document.")(command)


def limit(default: int) -> Callable[[F], F]:
    return click.option(
        "--limit",
        type=click.IntRange(min=0),
        default=default,
        show_default=True,
        metavar="N",
        callback=lambda context, parameter, value: value or None,
        help="Show at most N; 0 shows all.",
    )


def where(command: F) -> F:
    return click.option(
        "--where",
        multiple=True,
        metavar="FIELD=VALUE",
        help="Only what fits; also !=, < and >. Repeatable. An unknown field lists the known ones.",
    )(command)


def batch(command: F) -> F:
    return click.option("--batch", metavar="NAME", help="Only of this batch.")(command)


def up_to(rows: Iterable[R], limit: int | None) -> Iterator[R]:
    """Rows up to the limit; when there are more, a note on stderr says so. Ask for one row more than the limit."""
    for count, row in enumerate(rows):
        if count == limit:
            click.echo(f"There are more than {number(count)}: --limit 0 shows all.", err=True)
            return
        yield row


def one_more(limit: int | None) -> int | None:
    return None if limit is None else limit + 1
