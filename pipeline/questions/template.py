"""A template: a text with `{fields}` that each row fills in.

A field is a name and nothing more: no attributes, no indexes, no formats, no code. `{{` and `}}` are braces.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from pipeline.errors import RowInvalid, UsageError
from pipeline.locators import FILE, INSIDE, MEDIA, display, open_member, printable
from pipeline.sources.rows import Row

_PARTS = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_ESCAPES = {"{{": "{", "}}": "}"}


@dataclass(frozen=True, slots=True)
class Template:
    """Texts and the fields between them; a text without fields is the same for every row."""

    texts: tuple[str, ...]
    fields: tuple[str, ...] = ()

    @classmethod
    def literal(cls, text: str) -> Self:
        """A text that means what it says, braces too."""
        return cls((text,))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises UsageError where a brace stands alone."""
        texts, fields, end = [""], [], 0
        for part in _PARTS.finditer(text):
            texts[-1] += text[end : part.start()]
            end = part.end()
            if part[0] in _ESCAPES:
                texts[-1] += _ESCAPES[part[0]]
            else:
                fields.append(_field(part, text))
                texts.append("")
        texts[-1] += text[end:]
        return cls(tuple(texts), tuple(fields))

    @property
    def source(self) -> str:
        """The template as it is written."""
        texts = [text.replace("{", "{{").replace("}", "}}") for text in self.texts]
        return texts[0] + "".join(f"{{{field}}}{text}" for field, text in zip(self.fields, texts[1:], strict=True))

    def fill(self, value: Callable[[str], str]) -> str:
        """The text of one row."""
        parts = [self.texts[0]]
        for field, text in zip(self.fields, self.texts[1:], strict=True):
            parts += (value(field), text)
        return "".join(parts)


def _field(part: re.Match[str], text: str) -> str:
    name = (part[1] or "").strip()
    if not name:
        near = text[max(0, part.start() - 10) : part.end() + 10]
        what = "names no field" if part[1] is not None else "stands alone"
        raise UsageError(detail=f"The brace in {near!r} {what}. Fields are written {{name}}, and braces {{{{ and }}}}.")
    return name


class Values:
    """What a row fills in: its columns, and where its first picture is."""

    def __init__(self, row: Row) -> None:
        self._columns: Mapping[str, Any] = row.columns or {}
        self._locator = row.pictures[0].locator if row.pictures else None

    def __call__(self, field: str) -> str:
        """A column goes before a part of the path that is called alike. Raises RowInvalid."""
        value = self._columns.get(field)
        if value is not None:
            return value if isinstance(value, str) else _plain(value)
        if field not in self._columns and field in PLACES and self._locator is not None:
            return PLACES[field](_path(self._locator))
        why = "has no column" if field not in self._columns else "has nothing in the column"
        raise RowInvalid(why=f"it {why} {field!r}, which the question uses")


PLACES: dict[str, Callable[[str], str]] = {
    "name": posixpath.basename,
    "stem": lambda path: posixpath.splitext(posixpath.basename(path))[0],
    "directory": lambda path: posixpath.basename(posixpath.dirname(path)),
}
"""what every picture can fill in: cat.jpg, cat and animals of .../animals/cat.jpg"""


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _path(locator: str) -> str:
    """The picture's path as people read it; in an archive, that of the member below the archive."""
    file, _, _ = locator.partition(INSIDE)
    if not file.startswith((FILE, MEDIA)):
        return unquote(urlsplit(locator).path)
    member = open_member(locator)
    return display(file) if member is None else posixpath.join(display(file), printable(member))
