"""What a person is told of a build: how wide its weights are, and that it has taken its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from pipeline.display import note, size, table, things
from pipeline.models import Model, builds, installed
from pipeline.store import Store

HEAD = ("PART", "WIDTH", "LAYERS", "PARAMETERS")

Bits = Mapping[str, Mapping[str, Mapping[str, int]]]
"""of a manifest"""


def widths(bits: Bits) -> Iterator[str]:
    """How wide the weights of each part are, as a table; nothing where no manifest tells."""
    if bits:
        yield from table(HEAD, rows(bits))


def rows(bits: Bits) -> Iterator[tuple[str, ...]]:
    """Layers and share of parameters by width, the most first, as the reference notebooks print them."""
    for part, found in bits.items():
        layers = sum(width["layers"] for width in found.values())
        parameters = sum(width["parameters"] for width in found.values())
        name = part
        for kind, width in sorted(found.items(), key=lambda item: -item[1]["parameters"]):
            yield name, kind, f"{width['layers']} of {layers}", f"{width['parameters'] / parameters:.0%}"
            name = ""


def announce(store: Store, models: Path, name: str) -> Model:
    """Register the build under its name, and say so."""
    model = installed(store, models, name)
    click.echo(f"{_line(store, model)} Try: pixmill run photos -m {name}")
    tell_of_older(store, name)
    return model


def tell_of_older(store: Store, name: str, batch: int | None = None) -> None:
    """Say how many answers (of a batch) are another build's, now that the name stands for this one."""
    if older := store.older_answers(name, batch):
        were = "was" if older == 1 else "were"
        note(f"{things(older, 'question')} {were} answered by another build; `--force` asks again.")


def _line(store: Store, model: Model) -> str:
    precision, weight = store.views.model(model.alias).build.precision, size(builds.size(model.path))
    return f"{model.alias} is ready: build {model.digest.hex()[:12]}, {precision}, {weight}, in {model.path}."
