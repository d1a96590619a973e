"""Archives as inputs: the pictures in a zip or tar file, each addressed where it lies.

What stands beside a picture under the same name up to the first dot, as in WebDataset shards, makes one row with it:

    000017.jpg  000017.txt  000017.json      custom_id 000017, the text as column `txt`, the object's fields as columns
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from pipeline import archives
from pipeline.archives.contents import broken, read_member
from pipeline.archives.members import ArchiveBroken, Member
from pipeline.errors import ImageUnreadable, JobError, RowInvalid
from pipeline.files import opened
from pipeline.locators import Picture, locate, printable, within
from pipeline.settings import Settings
from pipeline.sources.filters import Filters
from pipeline.sources.folders import is_litter
from pipeline.sources.manifests.jsonlines import DECODER
from pipeline.sources.named import check_member
from pipeline.sources.paths import Seen, is_picture
from pipeline.sources.rows import BadRow, Row, Rows

BESIDE_BYTES = 1 << 20
"""of a text or an object beside a picture: what is larger is no note on it"""
_MOST_TOGETHER = 64
"""members of one key; their number is bounded, since they are held in memory"""
_TEXT, _OBJECT = "txt", "json"


@dataclass(frozen=True, kw_only=True)
class Archives:
    """How one command makes rows of archives."""

    settings: Settings
    filters: Filters
    question_columns: Sequence[str] = ()
    note: Callable[[str], None]

    def rows(self, path: str) -> Rows:
        """The rows of one archive, in its order. Where it cannot be read is a row too."""
        roots = self.settings.allowed_roots
        places = None if roots is None else [os.path.realpath(os.fsencode(root)) for root in roots]
        try:
            with opened(os.fsencode(path), places) as (fd, facts):
                picture = Picture(locate(path, self.settings.media_root), facts.st_size, facts.st_mtime_ns)
                yield from _Archive(path, fd, picture, self).rows()
        except JobError as error:
            yield BadRow(message=f"{printable(path)}: {error}", code=error.code)


@dataclass(frozen=True, slots=True)
class _Archive:
    """One open archive."""

    path: str
    fd: int
    file: Picture
    choice: Archives
    seen: Seen = field(default_factory=Seen)
    names: set[int] = field(default_factory=set)
    """hashes of the names that came: of two members with one name, only the first can be addressed"""

    def rows(self) -> Rows:
        try:
            for sample in _samples(self._members()):
                yield from self._of_sample(sample)
        except ArchiveBroken as error:
            lost = "; what follows is lost" if self.names else ""
            yield BadRow(message=f"{printable(self.path)} {error}{lost}", code=broken(error).code)
            return
        if not self.seen.pictures:
            self.choice.note(f"{printable(self.path)}: {self.seen.why_none(recursive=True)}")

    def _members(self) -> Iterator[_Found]:
        """The pictures, and what may stand beside them."""
        for member in archives.members(self.fd):
            found = _Found.of(member)
            if member.is_folder or any(is_litter(part) for part in found.name.split("/") if part != os.pardir):
                continue
            if found.is_picture or found.kind in (_TEXT, _OBJECT):
                yield found
            else:
                self.seen.others += 1

    def _of_sample(self, sample: Sequence[_Found]) -> Rows:
        pictures = [found for found in sample if found.is_picture]
        beside = {found.kind: found.member for found in sample if not found.is_picture}
        for found in filter(self._is_taken, pictures):
            together = len(pictures) == 1 and (bool(beside) or found.kind == found.suffix)
            custom_id = printable(found.key if together else found.name.removesuffix(f".{found.suffix}"))
            try:
                yield self._row(found, custom_id, beside)
            except JobError as error:
                message = f"{printable(self.path)}#{printable(found.name)}: {error}"
                yield BadRow(message=message, code=error.code, custom_id=custom_id)

    def _is_taken(self, found: _Found) -> bool:
        if not self.choice.filters.wanted(found.name):
            self.seen.left_out += 1
        elif not self.choice.filters.fits(found.member.size, None):
            self.seen.unfit += 1
        else:
            self.seen.pictures += 1
            return True
        return False

    def _row(self, found: _Found, custom_id: str, beside: Mapping[str, Member]) -> Row:
        self._check(found)
        columns = self._columns(beside)
        return Row(
            pictures=(Picture(within(self.file.locator, found.name), self.file.size, self.file.mtime_ns),),
            custom_id=custom_id,
            columns=columns or None,
            questions=tuple(_question(columns, name) for name in self.choice.question_columns),
        )

    def _check(self, found: _Found) -> None:
        check_member(found.name)
        if found.member.fault:
            raise ImageUnreadable(why=found.member.fault)
        if hash(found.member.name) in self.names:
            raise RowInvalid(why="an earlier member of the archive has the same name, and hides it")
        self.names.add(hash(found.member.name))

    def _columns(self, beside: Mapping[str, Member]) -> dict[str, Any]:
        columns: dict[str, Any] = {}
        if _OBJECT in beside:
            value = _parsed(self._text(beside, _OBJECT))
            columns |= value if isinstance(value, dict) else {_OBJECT: value}
        if _TEXT in beside:
            columns[_TEXT] = self._text(beside, _TEXT)
        return columns

    def _text(self, beside: Mapping[str, Member], kind: str) -> str:
        try:
            data = read_member(self.fd, beside[kind], max_bytes=BESIDE_BYTES)
        except JobError as error:
            raise RowInvalid(why=f"the .{kind} beside it cannot be used: {error}") from error
        return data.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class _Found:
    """A member and the parts of its name: `a/000017.left.jpg` has the key `a/000017` and the kind `left.jpg`."""

    member: Member
    name: str
    key: str
    kind: str
    is_picture: bool

    @classmethod
    def of(cls, member: Member) -> Self:
        name = os.fsdecode(member.name)
        folder, slash, last = name.rpartition("/")
        begin, _, kind = last.partition(".")
        return cls(member, name, folder + slash + begin, kind.lower(), is_picture(name))

    @property
    def suffix(self) -> str:
        return self.name.rpartition(".")[2]


def _samples(found: Iterator[_Found]) -> Iterator[list[_Found]]:
    """Members that follow each other and have the same key; also the last of them before an archive breaks."""
    together: list[_Found] = []
    try:
        for one in found:
            if together and (one.key != together[0].key or len(together) == _MOST_TOGETHER):
                yield together
                together = []
            together.append(one)
    except ArchiveBroken:
        yield together
        raise
    yield together


def _parsed(text: str) -> Any:
    try:
        return DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise RowInvalid(why=f"the .{_OBJECT} beside it is no JSON that can be used ({error})") from error


def _question(columns: Mapping[str, Any], name: str) -> str:
    value = columns.get(name)
    if not isinstance(value, str) or not value.strip():
        raise RowInvalid(why=f"nothing beside it asks a question as {name!r}")
    return value
