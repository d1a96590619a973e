"""Inputs: which pictures a command is about, as its options say it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, cast

import click

from pipeline import amounts
from pipeline.archives import is_archive
from pipeline.errors import UsageError
from pipeline.options import together
from pipeline.prompts import MOST_PICTURES
from pipeline.settings import Settings
from pipeline.sources.filters import Filters, parse_since
from pipeline.sources.given import Given, refuse_addresses, refuse_compressed
from pipeline.sources.manifests.columns import Asked
from pipeline.sources.manifests.manifest import AUTO, FORMATS, Manifest
from pipeline.sources.paths import read_list
from pipeline.sources.rows import Rows


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Which pictures a command is about."""

    paths: tuple[str, ...]
    from_file: str | None
    from0: bool
    recursive: bool
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    limit: int | None
    min_size: int | None = None
    max_size: int | None = None
    since: str | None = None
    shuffle: bool = False
    shuffle_seed: int | None = None
    manifest: str | None = None
    format: str | None = None
    image_col: str | None = None
    images_col: str | None = None
    image_pattern: str | None = None
    image_root: Path | None = None
    question_col: tuple[str, ...] = ()
    id_col: str | None = None
    system_col: str | None = None

    def rows(
        self,
        settings: Settings,
        *,
        warn: Callable[[str], None],
        asked: bool = False,
        shaped: bool = False,
        most_pictures: int = MOST_PICTURES,
    ) -> Rows:
        """The rows, one at a time. `warn` is told where none were found, and what was guessed.

        `asked`: whether the command itself says what to ask, so that no column is taken for questions unnamed.
        `shaped`: whether it says how to answer. `most_pictures`: how many the model takes at once.
        """
        if self.manifest is not None:
            of_manifest = self._of_manifest(
                self.manifest, settings, warn, asked=asked, shaped=shaped, most_pictures=most_pictures
            )
            return self._filters.rows(of_manifest, warn)
        self._refuse_manifest_options()
        if not (self.paths or self.from_file):
            detail = "Which pictures? Name files, folders or patterns, or give --from-file or --manifest."
            raise UsageError(detail=detail)
        refuse_compressed(self.paths)
        refuse_addresses(self.paths, settings)
        given = Given(
            settings=settings,
            filters=self._filters,
            recursive=self.recursive,
            question_columns=self.question_col,
            note=warn,
        )
        found = chain(given.rows(self.paths), given.rows(self._listed(), patterns=False))
        return self._filters.rows(found, warn)

    @functools.cached_property
    def _filters(self) -> Filters:
        shuffled = self.shuffle or self.shuffle_seed is not None
        return Filters(
            include=self.include,
            exclude=self.exclude,
            min_size=self.min_size,
            max_size=self.max_size,
            since=None if self.since is None else parse_since(self.since),
            shuffle_seed=self.shuffle_seed or 0 if shuffled else None,
            limit=self.limit,
        )

    def is_large(self, settings: Settings) -> bool:
        """Whether there are so many rows that another process is worth its start."""
        return self.manifest is not None and self._manifest(self.manifest).is_large(settings)

    def are_requests(self, settings: Settings) -> bool:
        """Whether the rows are requests in the OpenAI form, as far as can be told before they are read."""
        if self.manifest is None:
            return False
        return self._manifest(self.manifest).has_requests(settings)

    def spare(self, *targets: str | None) -> None:
        """Raise UsageError where results would take the place of what they are about."""
        for option, read in {"--manifest": self.manifest, "--from-file": self.from_file}.items():
            for target in targets:
                if read and target and _is_one(read, target):
                    raise UsageError(detail=f"The results would replace {target}, which {option} reads: name another.")

    def _of_manifest(
        self,
        file: str,
        settings: Settings,
        warn: Callable[[str], None],
        *,
        asked: bool,
        shaped: bool,
        most_pictures: int,
    ) -> Rows:
        if self.paths or self.from_file:
            raise UsageError(detail="The pictures are those of the --manifest: name no others beside it.")
        if self.images_col and most_pictures == 1:
            raise UsageError(detail="--images-col: this model takes one picture at a time. Choose another with -m.")
        return self._manifest(file).rows(
            settings,
            warn=warn,
            questions=not asked,
            shaped=shaped,
            most_pictures=most_pictures,
            filters=self._filters,
        )

    def _manifest(self, file: str) -> Manifest:
        return Manifest(file=file, format=self.format or AUTO, columns=self._columns, image_root=self.image_root)

    @property
    def _columns(self) -> Asked:
        places = {"--image-col": self.image_col, "--images-col": self.images_col}
        places |= {"--image-pattern": self.image_pattern}
        given = [option for option, value in places.items() if value]
        if len(given) > 1:
            raise UsageError(detail=f"{' and '.join(given)} both say where the pictures are: give one of them.")
        return Asked(
            image=self.image_col,
            images=self.images_col,
            pattern=self.image_pattern,
            questions=self.question_col,
            id=self.id_col,
            system=self.system_col,
        )

    def _refuse_manifest_options(self) -> None:
        given = [name for name in self._about_manifest() if name != "question_col" or not self._names_archives]
        if given:
            raise UsageError(detail=f"--{given[0].replace('_', '-')} is about a --manifest, which is not given.")

    @property
    def _names_archives(self) -> bool:
        """What stands beside pictures in archives has columns too. A list may name some."""
        return self.from_file is not None or any(map(is_archive, self.paths))

    def _about_manifest(self) -> dict[str, Any]:
        """What was said about a manifest, without what was not."""
        values = {name: getattr(self, name) for name in MANIFEST}
        plain = {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items() if value}

    def _listed(self) -> Iterator[str]:
        if self.from_file:
            try:
                with click.open_file(self.from_file, "rb") as stream:
                    yield from read_list(cast(BinaryIO, stream), nul=self.from0)
            except OSError as error:
                raise UsageError(
                    detail=f"--from-file {self.from_file}: {(error.strerror or str(error)).lower()}"
                ) from error

    def spec(self) -> dict[str, Any]:
        return {
            "paths": list(self.paths),
            "from_file": self.from_file,
            "recursive": self.recursive,
            "include": list(self.include),
            "exclude": list(self.exclude),
            "limit": self.limit,
            **{name: value for name in FILTERS if (value := getattr(self, name)) is not None and value is not False},
            **({} if self.manifest is None else {"manifest": self.manifest}),
            **self._about_manifest(),
        }


FILTERS = ("min_size", "max_size", "since", "shuffle", "shuffle_seed")
"""the fields of filters that a spec names only when they were given"""
MANIFEST = (
    "format",
    "image_col",
    "images_col",
    "image_pattern",
    "image_root",
    "question_col",
    "id_col",
    "system_col",
)
"""the fields that say something about a manifest"""


def _is_one(read: str, target: str) -> bool:
    """Whether two names are those of one file. Into a pipe or a terminal anybody may write."""
    return os.path.isfile(read) and os.path.isfile(target) and os.path.samefile(read, target)


def _size(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    try:
        return None if value is None else amounts.parse(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r}: {error}") from None


input_options = together(
    "inputs",
    Inputs,
    click.argument("paths", nargs=-1, metavar="[PATH]..."),
    click.option("--from-file", metavar="FILE", help="Read paths from a file, one a line; - reads standard input."),
    click.option("-0", "--null", "from0", is_flag=True, help="The paths in FILE are separated by NUL bytes."),
    click.option("-r", "--recursive", is_flag=True, help="Go into subfolders."),
    click.option("--include", multiple=True, metavar="GLOB", help="Take only files that match. Repeatable."),
    click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out files that match. Repeatable."),
    click.option(
        "--manifest",
        metavar="FILE",
        help="Rows out of CSV, TSV, JSON lines, Parquet or a data set's own file; - reads standard input.",
    ),
    click.option(
        "--format", type=click.Choice(FORMATS), help="What the manifest is.  [default: auto, by its name and content]"
    ),
    click.option("--image-col", metavar="COL", help="The column with the picture's name, if it is not obvious."),
    click.option("--images-col", metavar="COL", help="A column with several pictures for one question: a JSON list."),
    click.option(
        "--image-pattern", metavar="TEXT", help="Names made of columns, such as COCO_val2014_{image_id:012}.jpg."
    ),
    click.option(
        "--image-root",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Where the names start from.  [default: the manifest's folder]",
    ),
    click.option("--question-col", multiple=True, metavar="COL", help="A column with a question. Repeatable."),
    click.option("--id-col", metavar="COL", help="A column with your own ids, which exports give back."),
    click.option("--system-col", metavar="COL", help="A column with system prompts."),
    click.option("--min-size", callback=_size, metavar="BYTES", help="Leave out smaller files, such as 10k."),
    click.option("--max-size", callback=_size, metavar="BYTES", help="Leave out larger files, such as 20M."),
    click.option("--since", metavar="WHEN", help="Take files changed since: 24h, 7d or 2026-11-20."),
    click.option("--shuffle", is_flag=True, help="In a random order; with --limit, a random sample."),
    click.option("--shuffle-seed", type=int, metavar="N", help="Another random order.  [default: 0]"),
    click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Take the first N pictures."),
)
