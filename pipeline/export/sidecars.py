"""Sidecars: a small file for each picture, beside it or at its place in a tree of their own.

All answers about a picture are in its one file, in the order of the items; so they are sorted by picture first, on
disk. Each file is there as a whole or not at all, and those that are there already are not made again: the
same command goes on where it was killed.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

from pipeline.display import to_json
from pipeline.errors import SetupError, UsageError
from pipeline.export.files import STDOUT, complaining, renamed, sweep
from pipeline.export.jsonl import record
from pipeline.export.order import OnExists, Order, Tally
from pipeline.export.places import Places
from pipeline.export.texts import utf8
from pipeline.export.xmp import NotXmp, made, merged
from pipeline.store.rows import ItemRow

_TABLE = "CREATE TABLE said (stem BLOB, name BLOB, job INTEGER, text TEXT, record TEXT, locator TEXT)"
_ORDER = "CREATE INDEX places ON said (stem, name)"
_ALL = "SELECT stem, name, job, text, record, locator FROM said ORDER BY stem, name, rowid"
_LONGEST = 255
"""bytes of a file's name, on most file systems"""
HELD_ALREADY = "which their file holds already"


@dataclass(frozen=True)
class Said:
    """What one item says about a picture."""

    stem: bytes
    """the sidecar's path by the picture's name without its ending"""
    name: bytes
    """the same with the ending, which tells cat.jpg from cat.png"""
    job: int
    text: str
    record: str | None
    locator: str


@dataclass(frozen=True)
class Kind:
    """A kind of sidecar: how answers become a new file, and how they go into one that is there."""

    ending: str
    made: Callable[[list[Said]], bytes]
    overwritten: Callable[[bytes, list[Said]], bytes]
    appended: Callable[[bytes, list[Said]], bytes] | None = None
    whole_name: bool = False
    records: bool = False


class Sidecars:
    """Puts what is said about pictures aside, then writes their files."""

    def __init__(self, kind: Kind, order: Order, tally: Tally, rows: sqlite3.Connection) -> None:
        self._kind, self._order, self._tally, self._rows = kind, order, tally, rows
        self._places = Places.of(order)

    def write(self, item: ItemRow) -> None:
        if item.answer is None or item.job is None:
            return
        if len(item.pictures) != 1:
            self._tally.left("about several pictures")
            return
        place = self._place(item)
        if place is None:
            self._tally.left("about pictures that nothing may be written next to (-o DIR takes them)")
            return
        stem, ending = os.path.splitext(place)
        name = os.fsencode(f"{place}{self._kind.ending}")
        # A picture whose name ends as its sidecar's would be overwritten by it.
        whole = self._kind.whole_name or self._order.whole_names or ending == self._kind.ending
        short = name if whole else os.fsencode(f"{stem}{self._kind.ending}")
        whole_record = to_json(record(item), ascii_only=True) if self._kind.records else None
        said = (short, name, item.job, utf8(item.answer.text), whole_record, item.pictures[0].locator)
        self._rows.execute("INSERT INTO said VALUES (?, ?, ?, ?, ?, ?)", said)
        self._tally.aside += 1

    def finish(self) -> None:
        self._rows.execute(_ORDER)
        entered = set()
        for path, said, count in self._files():
            if path.parent not in entered:
                entered.add(path.parent)
                with complaining(str(path.parent)):
                    self._enter(path.parent)
            if len(os.fsencode(path.name)) > _LONGEST:
                self._tally.left("whose file would have too long a name", len(said))
            else:
                with complaining(os.fsdecode(path)):
                    self._put(path, said)
            self._tally.has_placed(count)

    def _place(self, item: ItemRow) -> str | None:
        picture = item.pictures[0]
        beside = self._places.beside(picture) if self._order.beside else None
        if beside is not None or self._order.target is None:
            return beside
        return os.path.join(self._order.target, self._places.mirrored(picture))

    def _files(self) -> Iterator[tuple[Path, list[Said], int]]:
        """Each file, what goes into it, of how many items. Two pictures that differ in their ending alone keep it."""
        found = (Said(*row) for row in self._rows.execute(_ALL))
        for stem, about in groupby(found, key=lambda said: said.stem):
            by_name = [(name, list(said)) for name, said in groupby(about, key=lambda said: said.name)]
            for name, said in by_name:
                once = list({one.job: one for one in said}.values())
                yield Path(os.fsdecode(stem if len(by_name) == 1 else name)), once, len(said)

    def _enter(self, folder: Path) -> None:
        if self._order.target is not None and folder.is_relative_to(self._order.target):
            folder.mkdir(parents=True, exist_ok=True)
        if folder.is_dir():
            sweep(folder)

    def _put(self, path: Path, said: list[Said]) -> None:
        if not path.parent.is_dir():
            self._tally.left("about pictures whose folder is gone", len(said))
            return
        old = self._old(path)
        if old is not None and self._order.on_exists is OnExists.SKIP:
            self._tally.left("whose file is there already", len(said))
            return
        try:
            new = self._kind.made(said) if old is None else self._changed(old, said)
        except NotXmp:
            self._tally.left("whose file is no XMP, so it stays as it is", len(said))
            return
        if new == old:
            self._tally.left(HELD_ALREADY, len(said))
            return
        with renamed(path) as file:
            file.write(new)
        self._tally.wrote()

    def _old(self, path: Path) -> bytes | None:
        if self._order.on_exists is OnExists.SKIP:
            return b"" if os.path.lexists(path) else None
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None

    def _changed(self, old: bytes, said: list[Said]) -> bytes:
        append = self._order.on_exists is OnExists.APPEND
        return (self._kind.appended if append and self._kind.appended else self._kind.overwritten)(old, said)


@contextmanager
def _sidecars(kind: Kind, order: Order, tally: Tally) -> Iterator[Sidecars]:
    if order.on_exists is OnExists.APPEND and kind.appended is None:
        raise UsageError(detail="--on-exists append is for txt and caption, which are lines of text.")
    if order.target == STDOUT:
        raise UsageError(detail="Sidecars are files: name a folder with -o DIR, or put them --beside the pictures.")
    if order.target is None and not order.beside:
        raise UsageError(detail="Where to? Name a folder with -o DIR, or put the files --beside the pictures.")
    # An empty name is a file in SQLITE_TMPDIR, TMPDIR or /var/tmp that goes with its connection.
    with _complaining(), closing(sqlite3.connect("", isolation_level=None)) as rows:
        rows.execute(_TABLE)
        rows.execute("BEGIN")
        writer = Sidecars(kind, order, tally, rows)
        yield writer
        writer.finish()


@contextmanager
def _complaining() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise SetupError(detail=f"The folder for temporary files (TMPDIR) cannot be used: {error}") from error


def _lines(said: list[Said]) -> list[str]:
    """Each text once."""
    return list(dict.fromkeys(one.text for one in said))


def _text(said: list[Said]) -> bytes:
    return "".join(f"{line}\n" for line in _lines(said)).encode()


def _with_text(old: bytes, said: list[Said]) -> bytes:
    """What is there, and the lines that are not."""
    text = old if not old or old.endswith(b"\n") else old + b"\n"
    for line in _lines(said):
        wanted = line.encode() + b"\n"
        if not (b"\n" + text).count(b"\n" + wanted):
            text += wanted
    return old if text == old + b"\n" else text


def _document(said: list[Said]) -> bytes:
    answers = ",\n  ".join(one.record or "null" for one in said)
    head = to_json({"locator": said[0].locator, "text": "\n".join(_lines(said))}, ascii_only=True)
    return f'{head[:-1]},\n "answers": [\n  {answers}\n ]}}\n'.encode()


def _packet(said: list[Said]) -> bytes:
    return made("\n".join(_lines(said)))


def _with_packet(old: bytes, said: list[Said]) -> bytes:
    return merged(old, "\n".join(_lines(said)))


def _kind(kind: Kind) -> Callable[[Order, Tally], AbstractContextManager[Sidecars]]:
    return partial(_sidecars, kind)


txt = _kind(Kind(".txt", _text, lambda old, said: _text(said), _with_text))
caption = _kind(Kind(".caption", _text, lambda old, said: _text(said), _with_text))
json = _kind(Kind(".json", _document, lambda old, said: _document(said), records=True))
# cat.jpg.xmp is what digiKam, darktable, Immich and PhotoPrism read beside any picture.
xmp = _kind(Kind(".xmp", _packet, _with_packet, whole_name=True))
