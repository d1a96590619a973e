"""`pixmill models compress`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from pipeline import listing
from pipeline.context import open_store
from pipeline.display import echo_json, note
from pipeline.errors import UsageError
from pipeline.models import Model, builds, choosing, installed
from pipeline.models.announcing import announce, widths
from pipeline.models.builds import find_model
from pipeline.models.choosing import Asked
from pipeline.settings import read_settings

TOLD = ("family", "bits", "size", "recipe", "fallbacks", "vision", "tools", "compressed_from")


@click.command()
@click.argument("model", metavar="DIR|NAME")
@choosing.of_build
@click.option("--vision", type=click.Choice(["w8a8"]), help="Quantise the vision tower in full, for speed on CPUs.")
@click.option(
    "--calibrate",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Pictures to do that by; drawn scenes without it.",
)
@click.option("--name", metavar="NAME", help="The new build's name; by default the model's and what it becomes.")
@listing.json_document
def compress(
    model: str,
    asked: Asked,
    vision: str | None,
    calibrate: Path | None,
    name: str | None,
    as_json: bool,
) -> None:
    """Compress a model from fp16 or fp32 to int4 or int8.

    By default as the reference recipe of its family does. The model itself stays as it is: what is made of it gets
    a name of its own. Layers that a recipe does not fit are told, and named in the new build's manifest.
    """
    from workers.compression.order import Order, default_name, fulfil

    settings = read_settings()
    source = find_model(model, settings.home)
    if calibrate and not vision:
        raise UsageError(detail="--calibrate is for --vision w8a8.")
    recipe = asked.choose(builds.check_files(source.path))
    order = Order(
        source=source,
        recipe=recipe,
        name=name or default_name(source, asked.ending or f"int{recipe.language.bits}", vision),
        quantises_vision=vision is not None,
        calibrate=calibrate,
    )
    fulfil(order, settings, note)
    with open_store(settings) as store:
        if as_json:
            echo_json(document(installed(store, settings.models, order.name)))
        else:
            show(builds.manifest(settings.models / order.name))
            announce(store, settings.models, order.name)


def document(model: Model) -> dict[str, Any]:
    told = builds.manifest(model.path)
    facts = {name: told.get(name) for name in TOLD}
    return {"name": model.alias, "build": model.digest.hex(), "path": builds.spelled(model.path), **facts}


def show(told: Mapping[str, Any]) -> None:
    for line in widths(told["bits"]):
        click.echo(line)
    if vision := told.get("vision"):
        click.echo(tower(vision))
    for sentence in fallen(told["fallbacks"]):
        click.echo(sentence, err=True)


def tower(vision: Mapping[str, Any]) -> str:
    """What it costs and brings to quantise a tower in full."""
    likeness = f"cosine {vision['cosine']:.4f} to what it was, {vision['least_cosine']:.4f} at least"
    speed = vision["speed"]
    worth = f"{speed:.2f} times as fast here" + ("" if speed > 1 else ": on this machine do without --vision")
    return f"Vision tower in w8a8: {likeness} (on {vision['compared_on']} pictures), {worth}."


def fallen(fallbacks: Mapping[str, list[Mapping[str, Any]]]) -> Iterator[str]:
    """One sentence for each part with layers that the groups did not fit."""
    for part, layers in fallbacks.items():
        ways = Counter(map(_way, layers))
        told = ", ".join(f"{count} to {way}" for way, count in ways.items())
        yield f"{part}: the groups do not divide the width of some layers, which went {told}."


def _way(layer: Mapping[str, Any]) -> str:
    return f"groups of {layer['group_size']}" if layer["stored"] == "int4" else str(layer["stored"])
