"""Inputs: which pictures a command is about, as its options say it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, BinaryIO, cast

import click

from pipeline.errors import UsageError
from pipeline.options import together
from pipeline.settings import Settings
from pipeline.sources.paths import from_paths, read_list
from pipeline.sources.rows import Rows, rows_of


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

    def rows(self, settings: Settings, *, warn: Callable[[str], None]) -> Rows:
        """The rows, one at a time. `warn` is told where none were found."""
        if not (self.paths or self.from_file):
            raise UsageError(detail="Which pictures? Name files, folders or patterns, or give --from-file.")
        search = functools.partial(
            from_paths,
            recursive=self.recursive,
            include=self.include,
            exclude=self.exclude,
            media_root=settings.media_root,
            note=warn,
        )
        found = chain(search(self.paths), search(self._listed(), patterns=False))
        return islice(rows_of(found), self.limit)

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
        }


input_options = together(
    "inputs",
    Inputs,
    click.argument("paths", nargs=-1, metavar="[PATH]..."),
    click.option("--from-file", metavar="FILE", help="Read paths from a file, one a line; - reads standard input."),
    click.option("-0", "--null", "from0", is_flag=True, help="The paths in FILE are separated by NUL bytes."),
    click.option("-r", "--recursive", is_flag=True, help="Go into subfolders."),
    click.option("--include", multiple=True, metavar="GLOB", help="Take only files that match. Repeatable."),
    click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out files that match. Repeatable."),
    click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Take the first N pictures."),
)
