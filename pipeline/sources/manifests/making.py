"""Making rows: a record and the meaning of its columns become pictures and what is asked about them."""

from __future__ import annotations

import functools
import json
import string
from collections.abc import Callable, Iterator
from typing import Any

from pipeline.errors import JobError, RowInvalid, UsageError
from pipeline.locators import Picture
from pipeline.remote import urls
from pipeline.sources.filters import LeftOut
from pipeline.sources.manifests.columns import Columns
from pipeline.sources.manifests.records import Broken, Table
from pipeline.sources.rows import BadRow, Row, Rows

Find = Callable[[str], Picture]
"""a picture's name, as the manifest has it -> the picture. Raises JobError"""

_REMEMBERED = 10_000


def rows(table: Table, columns: Columns, find: Find, *, most_pictures: int) -> Rows:
    """The rows of a table; those that cannot be used are there too, with their number and the reason."""
    # Questions about one picture stand together as a rule: its file is looked at once.
    maker = _Maker(columns, functools.lru_cache(_REMEMBERED)(find), most_pictures)
    for number, values in table.records:
        if isinstance(values, Broken):
            yield BadRow(message=f"{table.unit} {number:,}: {values.why}")
            continue
        try:
            yield maker.row(values)
        except LeftOut:
            continue
        except JobError as error:
            id = None if columns.id is None else _id(values.get(columns.id))
            yield BadRow(
                message=f"{table.unit} {number:,}: {error}", code=error.code, custom_id=id, columns=maker.told(values)
            )


def few_enough(rows: Rows, most: int) -> Rows:
    """Rows that were made elsewhere, those with too many pictures among the ones that cannot be used."""
    for row in rows:
        if isinstance(row, Row) and len(row.pictures) > most:
            error = RowInvalid(why=_too_many(len(row.pictures), most))
            yield BadRow(message=str(error), custom_id=row.custom_id, columns=row.columns)
        else:
            yield row


class _Maker:
    def __init__(self, columns: Columns, find: Find, most: int) -> None:
        self._columns = columns
        self._find = find
        self._most = most
        self._pattern = None if columns.pattern is None else Pattern(columns.pattern)
        named = (columns.image, columns.images, columns.id, columns.system, *columns.questions)
        self._used = frozenset(name for name in named if name is not None)

    def row(self, values: dict[str, Any]) -> Row:
        columns = self._columns
        used = self._used
        return Row(
            pictures=self._pictures(values),
            custom_id=None if columns.id is None else _id(values.get(columns.id)),
            columns={name: value for name, value in values.items() if name not in used} or None,
            questions=self._questions(values) if columns.questions else (),
            system=(_text(values, columns.system) or None) if columns.system else None,
        )

    def told(self, values: dict[str, Any]) -> dict[str, Any]:
        """What is kept of a row that cannot be used: an address may be refused for the password in it."""
        named = {self._columns.image, self._columns.images}
        return {name: _told(value) if name in named else value for name, value in values.items()}

    def _pictures(self, values: dict[str, Any]) -> tuple[Picture, ...]:
        if self._pattern is not None:
            return (self._find(self._pattern(values)),)
        value = values.get(self._columns.image or self._columns.images or "")
        if type(value) is str and self._columns.image:
            return (self._find(value),)
        names = _listed(value)
        if len(names) > self._most:
            raise RowInvalid(why=_too_many(len(names), self._most))
        return tuple(self._find(name) for name in names)

    def _questions(self, values: dict[str, Any]) -> tuple[str, ...]:
        names = self._columns.questions
        found = [text for name in names for text in _texts(values, name) if text and not text.isspace()]
        if not found:
            raise RowInvalid(why="it has no question")
        return tuple(found)


class Pattern:
    """A picture's name out of a row's cells, as in COCO_val2014_{image_id:012}.jpg."""

    def __init__(self, text: str) -> None:
        self._text = text
        try:
            fields = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
        except ValueError as error:
            raise UsageError(detail=f"--image-pattern {text!r} cannot be read: {error}.") from error
        # Only whole cells: a pattern is no way to reach into Python's objects.
        if not fields or not all(name.isidentifier() for name in fields):
            detail = f"--image-pattern takes names of columns in braces, as in {{image_id:012}}.jpg, not {text!r}."
            raise UsageError(detail=detail)

    def __call__(self, values: dict[str, Any]) -> str:
        try:
            return self._text.format_map({name: _number(value) for name, value in values.items()})
        except KeyError as error:
            raise RowInvalid(why=f"it has no {error}, which --image-pattern uses") from error
        except (ValueError, TypeError) as error:
            raise RowInvalid(why=f"--image-pattern does not fit it ({error})") from error


def _number(value: Any) -> Any:
    """A cell as a number if it is one: in CSV all are texts."""
    return int(value) if type(value) is str and value.isascii() and value.isdigit() else value


def _told(value: Any) -> Any:
    if type(value) is list:
        return [_told(one) for one in value]
    return urls.told(value) if type(value) is str else value


def _listed(value: Any) -> list[str]:
    """The names of a list of pictures, which JSON and Parquet hold as such and CSV as JSON."""
    if type(value) is str and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise RowInvalid(why=f"its list of pictures is no JSON ({error})") from error
    names = [value] if type(value) is str else value
    if not names:
        raise RowInvalid(why="it names no picture")
    if type(names) is not list or not all(type(name) is str for name in names):
        raise RowInvalid(why='pictures are named by text, or by a JSON list such as ["a.jpg", "b.jpg"]')
    return names


def _too_many(count: int, most: int) -> str:
    if most == 1:
        return f"it asks about {count} pictures at once, and this model takes one"
    return f"it asks about {count} pictures at once; {most} are the most"


def _texts(values: dict[str, Any], name: str) -> Iterator[str]:
    value = values.get(name)
    if type(value) is list:
        for one in value:
            yield _checked(one, name)
    elif value is not None:
        yield _checked(value, name)


def _text(values: dict[str, Any], name: str) -> str:
    value = values.get(name)
    return "" if value is None else _checked(value, name)


def _checked(value: Any, name: str) -> str:
    if type(value) is not str:
        if isinstance(value, list | dict):
            raise RowInvalid(why=f"what stands in {name!r} is no text")
        return str(value)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise RowInvalid(why=f"what stands in {name!r} is not UTF-8") from None
    return value


def _id(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)
