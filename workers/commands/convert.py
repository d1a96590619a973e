"""`pixmill models convert`."""

from __future__ import annotations

import click

from pipeline.context import open_store
from pipeline.display import note
from pipeline.models import choosing
from pipeline.models.choosing import AskedOfCheckpoint
from pipeline.settings import read_settings


@click.command()
@click.argument("checkpoint", metavar="CHECKPOINT")
@choosing.of_checkpoint
@click.option("--name", metavar="NAME", help="The build's name; by default the checkpoint's, and how wide it is.")
@click.option("--revision", metavar="REV", help="A branch, tag or commit of a repository.")
@click.option("--trust-remote-code", is_flag=True, help="Run the code that comes with the checkpoint.")
def convert(
    checkpoint: str, asked: AskedOfCheckpoint, name: str | None, revision: str | None, trust_remote_code: bool
) -> None:
    """Make a build from a PyTorch checkpoint.

    CHECKPOINT is a directory, a name of the catalogue such as qwen2-vl-2b, or a repository on the Hugging Face hub.
    By default its weights are compressed as the reference recipe of its family does. Needs the `convert` extra.
    """
    from pipeline.models.announcing import announce, widths
    from pipeline.models.builds import manifest
    from workers.conversion.order import Order, fulfil

    settings = read_settings()
    order = Order(
        checkpoint=checkpoint,
        revision=revision,
        asked=asked,
        name=name,
        trust_remote_code=trust_remote_code,
    )
    made = fulfil(order, settings.models, note)
    for line in widths(manifest(settings.models / made)["bits"]):
        click.echo(line)
    with open_store(settings) as store:
        announce(store, settings.models, made)
