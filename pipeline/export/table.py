"""A table: items as rows of plain cells, under columns of which the last are known only at the end.

Whatever stood in the rows of a manifest comes back under its own name, and any row may have other columns than
those before it. So rows wait on disk until all were seen; then each column has a name and a kind that fits all of it.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TextIO

from pipeline.display import to_json
from pipeline.export.files import STDOUT, complaining
from pipeline.export.order import Tally
from pipeline.export.texts import utf8
from pipeline.store.rows import ItemRow

THEIRS = "column_"
"""before a name of theirs that is one of ours"""
_INT64 = 2**63
_EXACT = 2**53
"""beyond this a float does not hold every integer"""


class Kind(StrEnum):
    """What a column holds."""

    TEXT = "text"
    TEXTS = "texts"
    INTEGER = "integer"
    NUMBER = "number"
    SWITCH = "switch"
    MOMENT = "moment"
    """seconds since 1970"""


@dataclass(frozen=True)
class Field:
    """A column of ours."""

    name: str
    kind: Kind
    of: Callable[[ItemRow], Any]


@dataclass(frozen=True)
class Column:
    """A column of the whole table; an empty one holds nothing but nulls."""

    name: str
    kind: Kind
    empty: bool


class Table:
    """Rows put aside."""

    def __init__(self, fields: Sequence[Field], file: TextIO, tally: Tally) -> None:
        self._fields, self._file, self._tally = fields, file, tally
        self._filled = [False] * len(fields)
        self._theirs: dict[str, set[str]] = {}
        """their names in the order they were first seen, with the types seen under each"""

    def write(self, item: ItemRow) -> None:
        ours = [field.of(item) for field in self._fields]
        self._filled = [filled or value is not None for filled, value in zip(self._filled, ours, strict=True)]
        theirs = dict(item.columns or {})
        for name, value in theirs.items():
            self._theirs.setdefault(name, set()).add(_type(value))
        self._file.write(to_json([ours, theirs], ascii_only=True) + "\n")
        self._tally.aside += 1
        self._tally.wrote()

    def columns(self) -> list[Column]:
        """Ours first."""
        ours = [Column(f.name, f.kind, not filled) for f, filled in zip(self._fields, self._filled, strict=True)]
        named = {field.name for field in self._fields}
        theirs = [Column(_named(n, named), _kind(found), found == {"null"}) for n, found in self._theirs.items()]
        return ours + theirs

    def rows(self) -> Iterator[list[Any]]:
        """Cells as the columns' kinds say, in their order."""
        kinds = [(name, _kind(found)) for name, found in self._theirs.items()]
        self._file.seek(0)
        for line in self._file:
            ours, theirs = json.loads(line)
            yield [*map(_clean, ours), *(_fitted(theirs.get(name), kind) for name, kind in kinds)]
            self._tally.has_placed()


@contextmanager
def table(fields: Sequence[Field], target: str, tally: Tally) -> Iterator[Table]:
    """A table whose rows wait in a nameless file: next to the target, where there is to be room for them anyway."""
    place = os.path.realpath(target)
    folder = (
        None if target == STDOUT or (os.path.exists(place) and not os.path.isfile(place)) else os.path.dirname(place)
    )
    with complaining(target), tempfile.TemporaryFile("w+", dir=folder, encoding="ascii") as file:
        yield Table(fields, file, tally)


def _named(name: str, ours: set[str]) -> str:
    """A name of theirs, apart from all of ours and from every other of theirs."""
    bare = name
    while bare.startswith(THEIRS):
        bare = bare.removeprefix(THEIRS)
    return utf8(f"{THEIRS}{name}" if bare in ours else name)


def _type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, int) and not isinstance(value, bool):
        return "int" if abs(value) <= _EXACT else "long" if abs(value) < _INT64 else "other"
    return type(value).__name__ if isinstance(value, (str, bool, float)) else "other"


def _kind(found: set[str]) -> Kind:
    types = found - {"null"}
    if types == {"bool"}:
        return Kind.SWITCH
    if types and types <= {"int", "long"}:
        return Kind.INTEGER
    return Kind.NUMBER if types and types <= {"int", "float"} else Kind.TEXT


def _fitted(value: Any, kind: Kind) -> Any:
    if value is None or kind is not Kind.TEXT:
        return value
    return utf8(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return utf8(value)
    return [utf8(one) for one in value] if isinstance(value, list) else value


# --- our columns -----------------------------------------------------------------------------------


def _of_picture(name: str) -> Callable[[ItemRow], Any]:
    return lambda item: getattr(item.pictures[0], name) if item.pictures else None


def _of_answer(look: Callable[[Any], Any]) -> Callable[[ItemRow], Any]:
    return lambda item: None if item.answer is None else look(item.answer)


def _spelled(parsed: Any) -> str | None:
    return None if parsed is None else json.dumps(parsed, ensure_ascii=False)


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _more(item: ItemRow) -> list[str] | None:
    return [picture.locator for picture in item.pictures[1:]] or None


def _verdict(review: Any) -> Any:
    return None if review is None else review.verdict


ASKED: tuple[Field, ...] = (
    Field("custom_id", Kind.TEXT, lambda item: item.custom_id),
    Field("batch", Kind.TEXT, lambda item: item.batch),
    Field("row", Kind.INTEGER, lambda item: item.row),
    Field("ask", Kind.INTEGER, lambda item: item.ask),
    Field("job", Kind.INTEGER, lambda item: item.job),
    Field("picture", Kind.TEXT, _of_picture("name")),
    Field("locator", Kind.TEXT, _of_picture("locator")),
    Field("more_locators", Kind.TEXTS, _more),
    Field("name", Kind.TEXT, lambda item: item.name),
    Field("question", Kind.TEXT, lambda item: item.question),
)
ANSWERED: tuple[Field, ...] = (
    Field("text", Kind.TEXT, _of_answer(lambda answer: answer.text)),
    Field("parsed", Kind.TEXT, _of_answer(lambda answer: _spelled(answer.parsed))),
    Field("review", Kind.TEXT, _of_answer(lambda answer: _verdict(answer.review))),
    Field("model_text", Kind.TEXT, _of_answer(lambda answer: answer.model_text)),
)
ENDED: tuple[Field, ...] = (
    Field("state", Kind.TEXT, lambda item: str(item.state)),
    Field("error_code", Kind.TEXT, lambda item: item.error_code),
    Field("error", Kind.TEXT, lambda item: item.error),
)
ORIGIN: tuple[Field, ...] = (
    Field("model", Kind.TEXT, lambda item: item.model),
    Field("build", Kind.TEXT, _of_answer(lambda answer: answer.build.digest)),
    Field("precision", Kind.TEXT, _of_answer(lambda answer: answer.build.precision)),
    Field("device", Kind.TEXT, _of_answer(lambda answer: answer.runtime.device)),
    Field("finish_reason", Kind.TEXT, _of_answer(lambda answer: answer.finish_reason)),
    Field("prompt_tokens", Kind.INTEGER, _of_answer(lambda answer: answer.prompt_tokens)),
    Field("answer_tokens", Kind.INTEGER, _of_answer(lambda answer: answer.answer_tokens)),
    Field("logprob", Kind.NUMBER, _of_answer(lambda answer: _finite(answer.logprob))),
    Field("seed", Kind.INTEGER, _of_answer(lambda answer: answer.seed)),
    Field("cached", Kind.SWITCH, _of_answer(lambda answer: answer.cached_from is not None)),
    Field("total_s", Kind.NUMBER, _of_answer(lambda answer: answer.total_s)),
    Field("created", Kind.MOMENT, _of_answer(lambda answer: answer.created)),
    Field("sha256", Kind.TEXT, _of_picture("sha256")),
    Field("width", Kind.INTEGER, _of_picture("width")),
    Field("height", Kind.INTEGER, _of_picture("height")),
)
FIELDS = (*ASKED, *ANSWERED, *ENDED, *ORIGIN)
"""what tables say of every item; whatever stood in its row follows"""
