"""What a person names becomes rows: files, folders and patterns, archives with what is inside, addresses."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pipeline.archives import is_archive
from pipeline.errors import JobError, UsageError
from pipeline.locators import Picture, printable
from pipeline.remote.policy import Policy
from pipeline.remote.urls import is_prefix, told
from pipeline.settings import Settings
from pipeline.sources.archives import Archives
from pipeline.sources.filters import Filters
from pipeline.sources.named import is_elsewhere, picture
from pipeline.sources.paths import Search, Seen, is_picture
from pipeline.sources.rows import BadRow, Row, Rows

_COMPRESSED = {
    ".tar.gz": "gunzip -k", ".tgz": "gunzip -k -S .tgz", ".tar.bz2": "bunzip2 -k", ".tar.xz": "unxz -k",
    ".tar.zst": "unzstd", ".7z": "7z x", ".rar": "unrar x",
}  # fmt: skip
"""what makes something of it that can be read"""


@dataclass(frozen=True, kw_only=True)
class Given:
    """How one command reads what was named to it."""

    settings: Settings
    filters: Filters
    recursive: bool = False
    question_columns: Sequence[str] = ()
    note: Callable[[str], None]

    def rows(self, paths: Iterable[str], *, patterns: bool = True) -> Rows:
        """The rows, in the order named. `patterns` is off for names out of lists, which mean themselves."""
        search = Search(self.recursive, self.filters, self.note, archives=True)
        inside = Archives(
            settings=self.settings, filters=self.filters, question_columns=self.question_columns, note=self.note
        )
        for path in search.all(paths, patterns=patterns):
            if is_archive(path) and os.path.isfile(path):
                yield from inside.rows(path)
            elif is_prefix(path):
                yield from self._below(path)
            else:
                yield self._row(path)

    def _below(self, prefix: str) -> Rows:
        """The pictures below a prefix of an object store."""
        from pipeline.remote.prefixes import below  # which loads what opens the store

        seen = Seen()
        try:
            Policy.of(self.settings).check(prefix)
            for found in below(prefix, recursive=self.recursive):
                if not is_picture(found.address):
                    seen.others += 1
                elif not self.filters.wanted(found.address.removeprefix(prefix)):
                    seen.left_out += 1
                elif not self.filters.fits(found.size, found.mtime_ns):
                    seen.unfit += 1
                else:
                    seen.pictures += 1
                    yield self._row(found.address)
        except JobError as error:
            yield BadRow(message=f"{printable(told(prefix))}: {error}", code=error.code)
        else:
            if not seen.pictures:
                self.note(f"{printable(prefix)}: {seen.why_none(recursive=self.recursive)}")

    def _row(self, path: str) -> Row | BadRow:
        if not is_elsewhere(path):
            return Row(pictures=(Picture.at(path, self.settings.media_root),))
        try:
            return Row(pictures=(picture(path, None, self.settings),))
        except JobError as error:
            return BadRow(message=f"{printable(told(path))}: {error}", code=error.code)


def refuse_addresses(paths: Iterable[str], settings: Settings) -> None:
    """Say at once which address may not be fetched: the batch would keep it as it was written, with its password."""
    for path in paths:
        if "://" in path and is_elsewhere(path):
            try:
                picture(path, None, settings)
            except JobError as error:
                raise UsageError(detail=f"{printable(told(path))}: {error}.") from None


def refuse_compressed(paths: Iterable[str]) -> None:
    """Say what to do about archives whose members cannot be read one by one."""
    for path in paths:
        tool = next((tool for suffix, tool in _COMPRESSED.items() if path.lower().endswith(suffix)), None)
        if tool is not None and os.path.isfile(path):
            why = "is compressed as a whole, so that its pictures cannot be read one by one"
            raise UsageError(
                detail=f"{printable(path)} {why}. Run `{tool} {printable(path)}` and name what that makes."
            )
