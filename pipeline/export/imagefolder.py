"""Image folder: pictures with a `metadata.jsonl`, as Hugging Face's `load_dataset("imagefolder")` reads it."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.display import to_json
from pipeline.errors import UsageError
from pipeline.export import loose
from pipeline.export.files import STDOUT, complaining, part, renamed, replacing, sweep
from pipeline.export.loose import Loose, NotHad, is_loose
from pipeline.export.order import OnExists, Order, Pictures, Tally
from pipeline.export.places import Places
from pipeline.export.table import Column, Field, Kind, Table, table
from pipeline.export.texts import portable
from pipeline.store.rows import ItemRow, PictureRow

METADATA = "metadata.jsonl"
_OUTSIDE = "about pictures outside of the folder, or with names that no file_name can hold"
_TAKEN = "whose place another file has (--on-exists overwrite replaces it)"
_NO_PLACE = {
    errno.ENAMETOOLONG: "whose place would have too long a name",
    errno.EEXIST: _TAKEN,
    errno.ENOTDIR: _TAKEN,
    errno.EISDIR: _TAKEN,
}
_NAMES_FILES = ("file_name", "file_names")


class Folder:
    """Brings pictures into the folder, and rows about them into its table."""

    def __init__(self, order: Order, tally: Tally, rows: Table) -> None:
        self._order, self._tally, self._rows = order, tally, rows
        self._places = Places.of(order)
        self._top = Path(os.path.abspath(order.file))
        self._entered: set[Path] = set()
        self._loose = Loose(order)
        self._last: tuple[str, str | None] | None = None

    def write(self, item: ItemRow) -> None:
        if len(item.pictures) != 1:
            self._tally.left("about several pictures")
            return
        picture = item.pictures[0]
        if self._last is None or self._last[0] != picture.locator:  # of several questions about it, the first brings it
            self._last = picture.locator, self._brought(picture)
        _, why = self._last
        if why is None:
            self._rows.write(item)
        else:
            self._tally.left(why)

    def _brought(self, picture: PictureRow) -> str | None:
        """Why not, if so."""
        place = self._top / placed(self._places, picture)
        if is_loose(picture):
            return self._loosely(picture, place)
        path = self._places.file(picture)
        if path is None or not os.path.isfile(path):
            return "about pictures that are no files here"
        if self._order.pictures is Pictures.NONE:
            return None if within(path, self._top) else _OUTSIDE
        put = _copy if self._order.pictures is Pictures.COPY else _link
        return self._bring(place, lambda: self._is(path, place), lambda: put(path, place))

    def _loosely(self, picture: PictureRow, place: Path) -> str | None:
        """The same of what is no file to link to."""
        if self._order.pictures is Pictures.NONE:
            return _OUTSIDE
        try:
            data = self._loose.read(picture)
        except NotHad as error:
            return str(error)
        return self._bring(place, lambda: _holds(place, data), lambda: _write(data, place))

    def _bring(self, place: Path, is_there: Callable[[], bool], put: Callable[[], None]) -> str | None:
        with complaining(os.fspath(self._top)):
            try:
                if os.path.lexists(place):
                    if is_there():
                        return None
                    if self._order.on_exists is not OnExists.OVERWRITE:
                        return _TAKEN
                self._enter(place.parent)
                put()
            except OSError as error:
                if error.errno not in _NO_PLACE:
                    raise
                return _NO_PLACE[error.errno]
        return None

    def _is(self, path: str, place: Path) -> bool:
        """Whether what is there is what would be made."""
        if self._order.pictures is Pictures.LINK:
            return place.exists() and os.path.samefile(path, place)
        if place.is_symlink():
            return False
        there, source = place.stat(), os.stat(path)
        return (there.st_size, there.st_mtime_ns) == (source.st_size, source.st_mtime_ns)

    def _enter(self, folder: Path) -> None:
        if folder not in self._entered:
            folder.mkdir(parents=True, exist_ok=True)
            sweep(folder)
            self._entered.add(folder)


@contextmanager
def imagefolder(order: Order, tally: Tally) -> Iterator[Folder]:
    if order.file == STDOUT:
        raise UsageError(detail="An image folder is a folder: name it with -o DIR.")
    if order.on_exists is OnExists.APPEND:
        raise UsageError(detail="--on-exists append is for txt and caption, which are lines of text.")
    metadata = os.path.join(order.file, METADATA)
    with complaining(order.file):
        Path(order.file).mkdir(parents=True, exist_ok=True)
    with replacing(metadata) as file, table(_fields(order), metadata, tally) as rows:
        yield Folder(order, tally, rows)
        columns = rows.columns()
        for cells in rows.rows():
            file.write(to_json(_record(columns, cells)) + "\n")


def placed(places: Places, picture: PictureRow) -> str:
    """The picture's place in the folder. datasets takes neither backslashes nor names that are no UTF-8."""
    return loose.placed(places, picture) if is_loose(picture) else portable(places.mirrored(picture))


def within(path: str, folder: Path) -> str | None:
    """The path from the folder on, if it lies in it under a name that can be written down."""
    top = os.path.join(folder, "")
    name = path.removeprefix(top)
    return name if path.startswith(top) and portable(name) == name else None


def _fields(order: Order) -> tuple[Field, ...]:
    places, top = Places.of(order), Path(os.path.abspath(order.file))

    def file_name(item: ItemRow) -> str | None:
        if order.pictures is Pictures.NONE:
            return within(places.file(item.pictures[0]) or "", top)
        return placed(places, item.pictures[0])

    return (
        Field("file_name", Kind.TEXT, file_name),
        Field("custom_id", Kind.TEXT, lambda item: item.custom_id),
        Field("name", Kind.TEXT, lambda item: item.name),
        Field("question", Kind.TEXT, lambda item: item.question),
        Field("text", Kind.TEXT, lambda item: item.answer.text if item.answer else None),
        Field("model", Kind.TEXT, lambda item: item.model),
    )


def _record(columns: list[Column], cells: list[object]) -> dict[str, object]:
    """Without the columns that hold nothing: datasets could not tell their type."""
    pairs = zip(columns, cells, strict=True)
    return {_named(column.name): cell for column, cell in pairs if not column.empty}


def _named(name: str) -> str:
    """In datasets a name that ends in file_name means a further picture."""
    return f"{name}_column" if name not in _NAMES_FILES[:1] and name.endswith(_NAMES_FILES) else name


def _holds(place: Path, data: bytes) -> bool:
    return not place.is_symlink() and place.is_file() and place.read_bytes() == data


def _write(data: bytes, place: Path) -> None:
    with renamed(place) as file:
        file.write(data)


def _link(path: str, place: Path) -> None:
    unfinished = part(place.parent)
    unfinished.symlink_to(path)
    unfinished.replace(place)


def _copy(path: str, place: Path) -> None:
    with open(path, "rb") as source, renamed(place) as file:  # noqa: PTH123  its name may be no text
        shutil.copyfileobj(source, file)
        file.flush()
        facts = os.fstat(source.fileno())
        os.utime(file.fileno(), ns=(facts.st_atime_ns, facts.st_mtime_ns))
