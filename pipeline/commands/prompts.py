"""`pixmill prompts`."""

from __future__ import annotations

import click

from pipeline import listing
from pipeline.display import echo_json, echo_lines, table


@click.group()
def prompts() -> None:
    """List and show the sets of questions that come with Pixmill."""


@prompts.command()
@listing.json_lines
def ls(as_json: bool) -> None:
    """List the sets; `--questions NAME` asks one of them."""
    from pipeline.questions import sets
    from pipeline.questions.file import read

    found = {name: read(name) for name in sets.names()}
    if as_json:
        echo_lines({"name": name, "description": one.description} for name, one in found.items())
    else:
        for line in table(("SET", "ASKS FOR"), ((name, one.description) for name, one in found.items())):
            click.echo(line)


@prompts.command()
@click.argument("name")
@listing.json_document
def show(name: str, as_json: bool) -> None:
    """Show a set as its file has it, to learn from or to change.

    NAME may be a file of your own: this says whether it can be asked.
    """
    from pipeline.questions.file import parse, source

    text = source(name)
    found = parse(name, text)
    if as_json:
        echo_json({"description": found.description, "questions": found.data()})
    else:
        click.echo(text.rstrip("\n"))
