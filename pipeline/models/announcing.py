"""What a person is told of a build that has just taken its name."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.display import number, size
from pipeline.models import Model, builds, installed
from pipeline.store import Store


def announce(store: Store, models: Path, name: str) -> Model:
    """Register the build under its name, and say so."""
    model = installed(store, models, name)
    click.echo(f"{_line(store, model)} Try: pixmill run photos -m {name}")
    if older := store.older_answers(name):
        click.echo(f"{number(older)} questions were answered by another build; `--force` asks them again.", err=True)
    return model


def _line(store: Store, model: Model) -> str:
    precision, weight = store.views.model(model.alias).build.precision, size(builds.size(model.path))
    return f"{model.alias} is ready: build {model.digest.hex()[:12]}, {precision}, {weight}, in {model.path}."
