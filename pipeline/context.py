"""What a command works with: the store of the settings' database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.settings import Settings, read_settings

if TYPE_CHECKING:
    from pipeline.store import Store

WAIT_S = 0.5


@contextmanager
def open_store(settings: Settings) -> Iterator[Store]:
    """The store, its database made or upgraded if it is the embedded one."""
    from pipeline import database
    from pipeline.store import Store

    database.prepare(settings.database_url)
    with closing(Store(database.connect(settings.database_url))) as store:
        yield store


@contextmanager
def open_to_read(settings: Settings | None = None) -> Iterator[Store]:
    """The store for commands that only look: where no database is yet, they see an empty one and make none."""
    settings = settings or read_settings()
    if file := _not_yet(settings):
        click.echo(f"Nothing here yet: {file} is made by the first `pixmill run PATH...`.", err=True)
        with closing(_empty_store()) as store:
            yield store
    else:
        with open_store(settings) as store:
            yield store


@contextmanager
def open_once_there() -> Iterator[Store]:
    """The store for commands that go on looking: where no database is yet, they wait for one."""
    settings = read_settings()
    if file := _not_yet(settings):
        click.echo(f"Nothing here yet: waiting for {file}, which the first `pixmill run PATH...` makes.", err=True)
        while _not_yet(settings):
            time.sleep(WAIT_S)
    with open_store(settings) as store:
        yield store


def _not_yet(settings: Settings) -> str | None:
    """The embedded database's file, when there is none."""
    from pipeline import database

    place = database.parse(settings.database_url)
    embedded = place.get_backend_name() == "sqlite"
    return str(place.database) if embedded and not Path(str(place.database)).exists() else None


def _empty_store() -> Store:
    import sqlalchemy as sa

    from pipeline.store import Store
    from pipeline.tables import metadata

    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    metadata.create_all(engine)
    return Store(engine)
