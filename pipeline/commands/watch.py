"""`pixmill watch ls` and `explain`."""

from __future__ import annotations

import click

from pipeline import listing
from pipeline.context import open_to_read
from pipeline.display import counted, echo_lines, printable, table
from pipeline.settings import read_settings
from pipeline.store.watches import WatchRow
from pipeline.watching.explaining import explain as explanations


@click.command()
@listing.json_lines
def ls(as_json: bool) -> None:
    """List watches: what they look after, and how their files stand."""
    with open_to_read() as store:
        rows = store.watches.rows()
    if as_json:
        echo_lines(rows)
        return
    for line in table(("NAME", "STATE", "FOLDERS", "FILES"), map(_cells, rows)):
        click.echo(line)


@click.command()
@click.argument("file")
@listing.json_lines
def explain(file: str, as_json: bool) -> None:
    """Say why a file was taken, waits, or is left alone."""
    settings = read_settings()
    with open_to_read(settings) as store:
        found = explanations(store, file, settings.media_root)
    if as_json:
        echo_lines(found)
        return
    for one in found:
        click.echo(f"{printable(one.watch or file)}: {one.state}. {printable(one.reason)}")


def _cells(row: WatchRow) -> tuple[str, ...]:
    state = "stopped"
    if row.running and row.owner:
        state = f"process {row.owner['pid']} on {row.owner['host']}"
    return (row.name, state, ", ".join(row.spec["folders"]), counted(row.files))
