"""`pixmill export`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from pipeline import blobs, listing
from pipeline import export as exports
from pipeline.cleaning import Cleaning, clean_options
from pipeline.context import open_to_read
from pipeline.display import note, number
from pipeline.errors import UsageError
from pipeline.export.files import STDOUT, shown
from pipeline.export.order import OnExists, Order, Pictures, Tally
from pipeline.progress import Progress
from pipeline.settings import read_settings


@click.command()
@click.option(
    "--format",
    type=click.Choice(list(exports.EXPORTERS)),
    help=f"The format.  [default: by OUT's ending, else {exports.PLAIN}]",
)
@click.option("-o", "--output", metavar="OUT", help="The file to write, - is standard output; or the folder.")
@click.option("--errors", metavar="FILE", help="A file for the items that failed, which OUT is then without.")
@click.option("--beside", is_flag=True, help="Sidecars: next to the pictures; OUT takes what has no place there.")
@click.option(
    "--on-exists",
    type=click.Choice([one.value for one in OnExists]),
    callback=lambda context, parameter, value: value and OnExists(value),
    help="Sidecars, image folders: what becomes of a file that is there. append: txt, caption.  [default: skip]",
)
@click.option(
    "--image-root",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where places in OUT start.  [default: the media root, else the current folder]",
)
@click.option(
    "--pictures",
    type=click.Choice([one.value for one in Pictures]),
    callback=lambda context, parameter, value: value and Pictures(value),
    help="Image folders: how pictures get there; none if OUT is the folder they lie in.  [default: link]",
)
@click.option(
    "--spreadsheet",
    is_flag=True,
    help="CSV for spreadsheets: a byte order mark, and ' before what they would take for a formula.",
)
@listing.batch
@listing.where
@clean_options
@click.option("--quiet", is_flag=True, help="No progress.")
def export(
    format: str | None,
    output: str | None,
    errors: str | None,
    batch: str | None,
    where: tuple[str, ...],
    cleaning: Cleaning,
    quiet: bool,
    **choices: Any,
) -> None:
    """Write answers to a file, or to a folder of files.

    What was asked and the current answer or the failure, for each item of --batch in the order of its input, or for
    each job. A file that is there is replaced once the new one is complete. A folder that was left half-made is
    completed by the same command. docs/exports.md shows each format.
    """
    settings = read_settings()
    name = format or exports.BY_SUFFIX.get(Path(output or "").suffix.lower(), exports.PLAIN)
    order = Order(
        target=output,
        media_root=settings.media_root,
        blobs=blobs.folder(settings),
        allowed_roots=settings.allowed_roots,
        fetched=settings.fetched,
        max_picture_bytes=settings.max_picture_bytes,
        **_chosen(name, choices),
    )
    with open_to_read(settings) as store, Progress("reading", quiet=quiet or not _has_room(output)) as progress:
        # How many fit a condition is known when all have been looked at.
        bar = _Bar(progress, None if where else store.views.count(batch))
        items = map(cleaning.item, store.views.items(batch, where=where))
        tally = exports.export(items, name, order, errors, bar.tell)
    _tell(tally, exports.EXPORTERS[name].unit, shown(output, errors) or "the pictures' folders")


@dataclass
class _Bar:
    """Shows how far an export is: first what is read, then what was put aside until all was read."""

    progress: Progress
    total: int | None
    writing: bool = False

    def tell(self, tally: Tally) -> None:
        if not tally.placed:
            self.progress.update(done=tally.read, total=self.total)
            return
        if not self.writing:
            self.progress.stage("writing")
            self.writing = True
        self.progress.update(done=tally.placed, total=tally.aside)


def _has_room(output: str | None) -> bool:
    """Whether a bar has a terminal that the answers themselves do not fill."""
    return sys.stderr.isatty() and not (output == STDOUT and sys.stdout.isatty())


def _chosen(format: str, choices: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, if the format heeds it."""
    given = {name: value for name, value in choices.items() if value not in (None, False)}
    for name in given:
        fitting = [other for other, one in exports.EXPORTERS.items() if name in one.options]
        if format not in fitting:
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(detail=f"{flag} is for {', '.join(fitting)}, not for {format}.")
    return given


def _tell(tally: Tally, unit: str, place: str) -> None:
    note(f"{number(tally.written)} {unit}{'' if tally.written == 1 else 's'} in {place}.")
    for why, count in tally.left_out.items():
        note(f"  left out: {number(count)} {'item' if count == 1 else 'items'} {why}")
