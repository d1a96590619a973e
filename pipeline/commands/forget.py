"""`pixmill forget`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pipeline.context import open_to_read
from pipeline.display import note, things
from pipeline.errors import LogHeld
from pipeline.settings import read_settings

if TYPE_CHECKING:
    from pipeline.housekeeping.forgetting import Traces

OUTSIDE = (
    "Not in Pixmill's hands, so still there where there are any: the picture itself, files and pages written from its "
    "answers, backups, logs."
)


@click.command()
@click.argument("what", nargs=-1, required=True, metavar="PATH|LOCATOR|SHA256...")
@click.option("--yes", is_flag=True, help="Do not ask.")
def forget(what: tuple[str, ...], yes: bool) -> None:
    """Forget pictures, with all that was asked and answered about them.

    Jobs, answers, reviews, blobs and fetched copies go from the database and its files as if they had never been.
    A folder means all below it, an archive all inside of it, 12 or more digits the SHA-256 that begins so.
    What has the same content under other names goes too. Nothing brings it back.
    """
    from pipeline.housekeeping import forgetting
    from pipeline.housekeeping.place import Place

    settings = read_settings()
    with open_to_read(settings) as store:
        traces = forgetting.trace(store, settings, what)
        if not traces and not store.housekeeping.is_marked():
            click.echo("Nothing is known of that: nothing is removed.")
            return
        if not yes:
            click.confirm(f"Forget {_said(traces)}?", err=True, abort=True)
        for _ in Place.gently(forgetting.forget(store, traces)):
            pass
        clean = store.housekeeping.scrub()
    click.echo(f"Forgotten: {_said(traces)}.")
    note(OUTSIDE)
    if not clean:
        raise LogHeld


def _said(traces: Traces) -> str:
    counts = {**traces.found.counts, "file": len(traces.files)}
    return ", ".join(things(count, name) for name, count in counts.items() if count) or "what was forgotten before"
