"""`pixmill models verify`: see a build work on a device, and note it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import click

from pipeline import listing, options
from pipeline.context import open_store
from pipeline.display import echo_json, note
from pipeline.models import use
from pipeline.options import EngineOptions
from pipeline.settings import read_settings


@click.command()
@click.argument("name", metavar="NAME|DIR")
@options.device
@options.device_config
@listing.json_document
def verify(name: str, device: str | None, device_config: Mapping[str, str], as_json: bool) -> None:
    """See a model's build work on a device.

    Its files are read against their hashes, it is loaded, it answers questions about drawn pictures in a batch and
    one at a time, and the answers must agree. Commands that ask a model do this once for each build and device.
    """
    from workers.verification import check_files
    from workers.verification import verify as examine
    from workers.worker import WorkerConfig

    settings = read_settings({"model": name, "device": device})
    with open_store(settings) as store:
        model = use(store, settings.model, settings.home, tell=note)
        note(f"Checking the files of {model.alias}, then its answers on {settings.device}.")
        check_files(model)
        config = WorkerConfig.of(settings, model.path, EngineOptions(device_config=device_config))
        found = examine(store, model, config)
    if as_json:
        echo_json({"model": model.alias, "build": model.digest, "device": settings.device, **asdict(found)})
    else:
        click.echo(f"{model.alias}, build {model.digest.hex()[:12]}, works on {settings.device}: {found.sentence()}.")
