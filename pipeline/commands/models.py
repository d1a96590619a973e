"""`pixmill models`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from pipeline import listing
from pipeline.builds import find_model
from pipeline.context import open_store, open_to_read
from pipeline.display import echo_json, echo_lines, moment, number, printable, table, to_json
from pipeline.models import register
from pipeline.settings import read_settings
from pipeline.store.rows import ModelRow


@click.group()
def models() -> None:
    """List models, show one, or set an alias."""


@models.command()
@listing.json_lines
def ls(as_json: bool) -> None:
    """List the models that answers name, with the build each alias stands for."""
    with open_to_read() as store:
        rows = list(store.views.models())
    if as_json:
        echo_lines(rows)
    else:
        for line in table(("MODEL", "FAMILY", "PRECISION", "BUILD", "ANSWERS", "WHERE"), map(_cells, rows)):
            click.echo(line)


@models.command()
@click.argument("name")
@listing.json_document
def show(name: str, as_json: bool) -> None:
    """Show what is known of a model's build: where it comes from and how it was made."""
    with open_to_read() as store:
        row = store.views.model(name)
    if as_json:
        echo_json(row)
    else:
        click.echo("\n".join(_lines(row)))


@models.command()
@click.argument("name")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
def alias(name: str, directory: Path) -> None:
    """Let NAME stand for the build in DIRECTORY from now on.

    Answers that another build gave under that name stay, and say so.
    """
    settings = read_settings()
    with open_store(settings) as store:
        build = register(store, find_model(str(directory), settings.home), alias=name)
        older = store.older_answers(name)
    click.echo(f"{name} is build {build.digest.hex()[:12]} now.")
    if older:
        click.echo(f"{number(older)} questions were answered by another build; `--force` asks them again.", err=True)


def _cells(row: ModelRow) -> tuple[str, ...]:
    build = row.build
    return (row.alias, build.family, build.precision, build.digest[:12], number(row.answers), build.path)


def _lines(row: ModelRow) -> Iterator[str]:
    build = row.build
    yield f"{printable(row.alias)}: build {build.digest}"
    yield f"Family    {printable(build.family)}"
    yield f"Precision {build.precision}"
    yield f"Source    {printable(build.source or 'unknown')}" + (f" at {build.revision}" if build.revision else "")
    yield f"Recipe    {printable(to_json(build.recipe)) if build.recipe else 'unknown'}"
    yield f"Made with {printable(to_json(build.tools)) if build.tools else 'unknown'}"
    yield f"Licence   {printable(build.licence or 'unknown')}"
    yield f"Where     {printable(build.path)}"
    yield f"Answers   {number(row.answers)}"
    yield f"Since     {moment(row.updated)}"
