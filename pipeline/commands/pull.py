"""`pixmill models pull`."""

from __future__ import annotations

import click

from pipeline.context import open_store
from pipeline.progress import BYTES, Progress
from pipeline.settings import read_settings


@click.command()
@click.argument("model", metavar="NAME|REPO")
@click.option(
    "--revision", metavar="REV", help="A branch, tag or commit; the build is pinned to the commit it stands for."
)
@click.option("--name", metavar="ALIAS", help="The model's name here.")
@click.option(
    "--weight-format",
    type=click.Choice(["int4", "int8", "fp16"]),
    help="Which build of a catalogue's model; int4 unless given.",
)
@click.option("--quiet", is_flag=True, help="No progress.")
def pull(model: str, revision: str | None, name: str | None, weight_format: str | None, quiet: bool) -> None:
    """Fetch a ready OpenVINO build from the Hugging Face hub.

    NAME is one of the catalogue, such as internvl2-1b; REPO is a repository with an OpenVINO build, such as
    OpenVINO/InternVL2-1B-int4-ov. What breaks off goes on where it stopped when the command is run again.
    HF_TOKEN, HF_HOME, HF_ENDPOINT and HF_HUB_OFFLINE mean what they mean to all of the hub's tools.
    """
    from pipeline.models import pulling
    from pipeline.models.announcing import announce
    from pipeline.models.hub import Hub

    settings = read_settings()
    wanted = pulling.wanted(model, revision=revision, name=name, weight_format=weight_format)
    try:
        with Progress(wanted.name, unit=BYTES, quiet=quiet) as progress:
            snapshot, known = pulling.pull(
                settings.models, Hub(), wanted, lambda done, total: progress.update(done=done, total=total)
            )
    except KeyboardInterrupt:
        if pulling.kept(settings.models, wanted):
            click.echo("Stopped. What has come is kept: the same command goes on from there.", err=True)
        raise
    if known:
        click.echo(
            f"{wanted.name} is {snapshot.repo} at {snapshot.commit[:12]} already; nothing was fetched.", err=True
        )
    with open_store(settings) as store:
        announce(store, settings.models, wanted.name)
