"""`pixmill report`: what changed."""

from __future__ import annotations

import click

from pipeline import listing
from pipeline.context import open_to_read
from pipeline.display import echo_json, note


@click.command()
@click.option(
    "--since",
    "when",
    default="yesterday",
    show_default=True,
    metavar="WHEN",
    help="yesterday, today, 24h, 7d or 2026-11-20.",
)
@listing.limit(20)
@click.option("--html", "page", metavar="FILE", help="Write it as a page instead.")
@listing.json_document
def report(when: str, limit: int | None, page: str | None, as_json: bool) -> None:
    """Show what changed: answers, failures, what waits, slower machines.

    And the answers that are other ones now to the same picture and question.
    """
    from pipeline.reporting import sentences

    since = sentences.since(when)
    with open_to_read() as store:
        changes = store.views.changes(since, limit)
    if page is not None:
        from pipeline.export.files import STDOUT, replacing
        from workers.reporting.page import render

        with replacing(page) as stream:
            stream.write(render(changes))
        if page != STDOUT:
            note(f"The page is {page}.")
    if as_json:
        echo_json(changes)
    elif page is None:
        for line in sentences.lines(changes):
            click.echo(line)
