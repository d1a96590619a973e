"""`pixmill db`."""

from __future__ import annotations

import click

from pipeline import listing
from pipeline.display import echo_json
from pipeline.settings import read_settings


@click.group()
def db() -> None:
    """Upgrade the database, or say its schema."""


@db.command()
def upgrade() -> None:
    """Bring the database to this program's schema; makes it if there is none."""
    from pipeline import database

    click.echo(f"The schema is at {database.upgrade(read_settings().database_url)}.")


@db.command()
@listing.json_document
def current(as_json: bool) -> None:
    """Say which schema the database has, and which this program needs."""
    from migrations import HEAD
    from pipeline import complaints, database

    url = read_settings().database_url
    place, found = complaints.shown(database.parse(url)), database.current(url)
    if as_json:
        echo_json({"database": place, "schema": found, "needed": HEAD})
    else:
        click.echo(f"{place}: schema {found or 'none'}, needed {HEAD}")
