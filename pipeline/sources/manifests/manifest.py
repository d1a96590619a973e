"""A manifest: a file that names pictures row by row, in one of several formats. `READERS` is the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.display import things
from pipeline.locators import Picture
from pipeline.settings import Settings
from pipeline.sources import openai
from pipeline.sources.filters import EVERYTHING, Filters
from pipeline.sources.formats.coco import coco
from pipeline.sources.formats.imagefolder import metadata
from pipeline.sources.formats.json_items import items
from pipeline.sources.formats.labelstudio import labelstudio
from pipeline.sources.formats.llava import llava
from pipeline.sources.formats.vqav2 import vqav2
from pipeline.sources.manifests.columns import Asked, Columns, choose
from pipeline.sources.manifests.delimited import delimited
from pipeline.sources.manifests.finding import finder
from pipeline.sources.manifests.jsonlines import jsonlines, named
from pipeline.sources.manifests.making import few_enough
from pipeline.sources.manifests.making import rows as made
from pipeline.sources.manifests.parquet import parquet
from pipeline.sources.manifests.recognising import OPENAI, recognised
from pipeline.sources.manifests.records import Table
from pipeline.sources.manifests.source import Source
from pipeline.sources.rows import Rows

AUTO = "auto"
IMAGE_FOLDER = "imagefolder"
LARGE = 4 << 20

READERS: Mapping[str, Callable[[Source], Table]] = {
    "csv": delimited,
    "tsv": delimited,
    "jsonl": jsonlines,
    "json": lambda source: named(items(source.blocks(), "item"), unit="item"),
    "parquet": parquet,
    "coco": coco,
    "vqav2": vqav2,
    "llava": llava,
    "labelstudio": labelstudio,
}
FORMATS = (AUTO, *READERS, IMAGE_FOLDER, OPENAI)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A manifest as a person names it."""

    file: str
    format: str = AUTO
    columns: Asked = field(default_factory=Asked)
    image_root: Path | None = None
    """where the names of pictures start from; the manifest's own folder if not given"""

    def rows(
        self,
        settings: Settings,
        *,
        warn: Callable[[str], None],
        questions: bool,
        most_pictures: int,
        shaped: bool = False,
        filters: Filters = EVERYTHING,
    ) -> Rows:
        """The rows, read as they are taken. `warn` is told which columns were guessed.

        `questions`: whether a column may be guessed to hold the questions. `shaped`: whether the command says how to
        answer. Raises UsageError.
        """
        source = Source(metadata(self.file), settings)
        format = recognised(source) if self.format in (AUTO, IMAGE_FOLDER) else self.format
        if format == OPENAI:
            if shaped or not questions:
                warn("Each line of the file says itself what is asked, and how: what the command says is left aside.")
            return few_enough(openai.rows(source, settings, warn=warn), most_pictures)
        table = READERS[format](source)
        columns = choose(table.names, self.columns, table.meaning, shown=source.shown, questions=questions)
        if columns.guessed:
            warn(_said(columns, table))
        base = self.image_root or source.folder

        found = finder(base, settings)

        def wanted(name: str) -> Picture:
            filters.check(name)
            return found(name)

        find = wanted if filters.include or filters.exclude else found
        return made(table, columns, find, most_pictures=most_pictures)

    def is_large(self, settings: Settings) -> bool:
        """Whether another process is worth its start."""
        return Source(metadata(self.file), settings).size >= LARGE

    def has_requests(self, settings: Settings) -> bool:
        """Whether it is a batch file of the OpenAI form. What can be read only once is so when the format says it."""
        source = Source(metadata(self.file), settings)
        if self.format not in (AUTO, IMAGE_FOLDER) or source.once:
            return self.format == OPENAI
        return recognised(source) == OPENAI


def _said(columns: Columns, table: Table) -> str:
    guessed = columns.guessed or {}
    parts = ", ".join(f"{role} {name!r}" for role, name in guessed.items())
    known = (columns.image, columns.images, columns.id, columns.system, *columns.questions)
    others = len(set(table.names).difference(known))
    more = f"; {things(others, 'other')} pass through" if others > 1 else "; one other passes through" if others else ""
    return f"Columns: {parts}{more}."
