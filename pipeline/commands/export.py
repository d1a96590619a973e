"""`pixmill export`."""

from __future__ import annotations

import click

from pipeline import export as exports
from pipeline import listing
from pipeline.context import open_to_read
from pipeline.display import number


@click.command()
@click.option(
    "--format",
    type=click.Choice(list(exports.EXPORTERS)),
    default="jsonl",
    show_default=True,
    help="The file's format.",
)
@click.option("-o", "--output", required=True, metavar="OUT", help="The file to write; - is standard output.")
@listing.batch
@listing.where
def export(format: str, output: str, batch: str | None, where: tuple[str, ...]) -> None:
    """Write answers to a file.

    One line for each item of --batch in the order of its input, or for each job: what was asked, the
    current answer with its whole origin, or the failure. A file that is there is replaced once the
    new one is complete.
    """
    with open_to_read() as store:
        count = exports.export(store.views.items(batch, where=where), format, output)
    click.echo(f"{number(count)} lines in {'standard output' if output == '-' else output}.", err=True)
