"""`pixmill models`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline import listing
from pipeline.context import open_store, open_to_read
from pipeline.display import echo_json, echo_lines, moment, number, printable, size, table, to_json
from pipeline.errors import AliasUnknown, ModelInUse, ModelNotOurs
from pipeline.lazy import Entry, LazyGroup
from pipeline.models import register, staging
from pipeline.models.announcing import tell_of_older, widths
from pipeline.models.builds import describe, digest, find_model, hashes, manifest, named, spelled
from pipeline.models.catalogue import CHECKPOINTS, FAMILIES
from pipeline.models.findings import Findings
from pipeline.settings import Settings, read_settings
from pipeline.store.rows import BuildRow, ModelRow, VerificationRow

if TYPE_CHECKING:
    from pipeline.store import Store


COMMANDS = {
    "pull": Entry("pipeline.commands.pull:pull", "Fetch a ready OpenVINO build from the Hugging Face hub."),
    "convert": Entry("workers.commands.convert:convert", "Make a build from a PyTorch checkpoint."),
    "compress": Entry("workers.commands.compress:compress", "Compress a model from fp16 or fp32 to int4 or int8."),
    "verify": Entry("workers.commands.verify:verify", "See a model's build work on a device."),
    "compare": Entry("workers.commands.compare:compare", "Ask two models the same, and show how they differ."),
}


@click.group(cls=LazyGroup, entries=COMMANDS)
def models() -> None:
    """Get, make, check and compare models; list, show or remove them."""


@models.command()
@click.option("--catalogue", is_flag=True, help="List the published models that pull and convert know by name instead.")
@listing.json_lines
def ls(catalogue: bool, as_json: bool) -> None:
    """List the models that answers name, with the build each alias stands for."""
    if catalogue:
        _list_catalogue(as_json=as_json)
        return
    with open_to_read() as store:
        rows = list(store.views.models())
    if as_json:
        echo_lines(rows)
    else:
        for line in table(("MODEL", "FAMILY", "PRECISION", "BUILD", "ANSWERS", "WHERE"), map(_cells, rows)):
            click.echo(line)


@models.command()
@click.argument("name")
@listing.json_document
def show(name: str, as_json: bool) -> None:
    """Show what is known of a model's build: where it comes from and how it was made."""
    settings = read_settings()
    with open_to_read(settings) as store:
        row = _row(store, name, settings.home)
        verified = store.verifications(bytes.fromhex(row.build.digest))
    told = _told(row.build)
    if as_json:
        known = {"knows": told.get("knows"), "accuracy": told.get("accuracy"), "verified": verified}
        echo_json({"alias": row.alias, "build": row.build, "answers": row.answers, "updated": row.updated, **known})
    else:
        click.echo("\n".join([*_lines(row, told), *_verified(verified), *widths(told.get("bits", {}))]))


@models.command()
@click.argument("name")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
def alias(name: str, directory: Path) -> None:
    """Let NAME stand for the build in DIRECTORY from now on.

    Answers that another build gave under that name stay, and say so.
    """
    staging.check_name(name)
    settings = read_settings()
    with open_store(settings) as store:
        build = register(store, find_model(str(directory), settings.home), alias=name)
        click.echo(f"{name} is build {build.digest.hex()[:12]} now.")
        tell_of_older(store, name)


@models.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def rm(name: str, yes: bool) -> None:
    """Remove a model's files. What it answered stays, and says which build it was."""
    settings = read_settings()
    path = _removable(name, settings)
    with open_store(settings) as store:
        if workers := store.views.working_in(spelled(path.resolve())):
            at = ", ".join(f"{worker.host} (process {worker.pid})" for worker in workers)
            raise ModelInUse(name=name, workers=at)
    if yes or click.confirm(f"Remove {path}?", err=True):
        click.echo(f"{name} is removed; that freed {size(staging.remove(settings.models, name))}. Its answers stay.")


def _list_catalogue(*, as_json: bool) -> None:
    if as_json:
        echo_lines(CHECKPOINTS.values())
        return
    rows = (
        (known.name, FAMILIES[known.family].title, known.parameters, known.licence, " ".join(known.builds), known.repo)
        for known in CHECKPOINTS.values()
    )
    for line in table(("MODEL", "FAMILY", "PARAMETERS", "LICENCE", "READY BUILDS", "CHECKPOINT"), rows):
        click.echo(line)


def _removable(name: str, settings: Settings) -> Path:
    """The folder of a model that goes by its name, or of which there is only what a stopped pull left."""
    path = settings.models / name
    if path.name == name and staging.left(settings.models, name):
        return path
    if find_model(name, settings.home).alias is None:
        raise ModelNotOurs(name=name, why=f"is a directory, not the name of a model in {settings.models}")
    if not path.is_dir():
        raise ModelNotOurs(name=name, why="comes with Pixmill")
    return path


def _cells(row: ModelRow) -> tuple[str, ...]:
    build = row.build
    return (row.alias, build.family, build.precision, build.digest[:12], number(row.answers), build.path)


def _row(store: Store, name: str, home: Path) -> ModelRow:
    """The model as the database knows it, or as its files tell while no job has named it."""
    try:
        return store.views.model(name)
    except AliasUnknown:
        place = named(name, home)
        if place is None:
            raise
    facts = asdict(describe(place.path, digest(hashes(place.path))))
    del facts["stamp"]
    build = BuildRow(**facts | {"digest": facts["digest"].hex()})
    return ModelRow(alias=name, build=build, answers=0, updated=None)


def _told(build: BuildRow) -> Mapping[str, Any]:
    """The build's manifest; nothing where another build lies there by now."""
    told = manifest(Path(build.path))
    return told if told.get("hash", build.digest) == build.digest else {}


def _lines(row: ModelRow, told: Mapping[str, Any]) -> Iterator[str]:
    build = row.build
    yield f"{printable(row.alias)}: build {build.digest}"
    for place, sentence in enumerate(told.get("knows", ())):
        yield f"{'          ' if place else 'Knows     '}{printable(str(sentence))}"
    yield from _figures(build.precision, told.get("accuracy", {}))
    yield f"Family    {printable(build.family)}"
    yield f"Precision {build.precision}"
    yield f"Source    {printable(build.source or 'unknown')}" + (f" at {build.revision}" if build.revision else "")
    yield f"Recipe    {printable(to_json(build.recipe)) if build.recipe else 'unknown'}"
    yield f"Made with {printable(to_json(build.tools)) if build.tools else 'unknown'}"
    yield f"Licence   {printable(build.licence or 'unknown')}"
    yield f"Where     {printable(build.path)}"
    yield f"Answers   {number(row.answers)}"
    yield f"Since     {moment(row.updated)}"


def _verified(rows: Sequence[VerificationRow]) -> Iterator[str]:
    """The newest verification on each device."""
    newest = {row.device: row for row in reversed(rows)}
    for device, row in sorted(newest.items()):
        yield f"Verified  on {printable(device)} {moment(row.created)}: {Findings(**row.figures).sentence()}"


def _figures(precision: str, accuracy: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Iterator[str]:
    """How often the build was right when it was examined; its --json has the kinds, and other precisions too."""
    for examined, parts in accuracy.items():
        for part, shares in parts.items() if examined.partition(",")[0] == precision else ():
            figures = f"{shares['questions']:.1%} of questions, {shares['caption']:.1%} of captions"
            yield f"Right     {printable(examined)}, {printable(part)}: {figures}"
