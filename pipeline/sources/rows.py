"""A row of an input: which pictures, and what the row brings with it besides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pipeline.errors import RowInvalid
from pipeline.locators import Picture
from pipeline.prompts import Prompt


class Row(NamedTuple):
    """Pictures to ask about. Whatever the row does not say itself, its command does."""

    pictures: tuple[Picture, ...]
    custom_id: str | None = None
    columns: Mapping[str, Any] | None = None
    """what else the row holds: templates may use it, exports give it back"""
    questions: tuple[str, ...] = ()
    system: str | None = None
    prompts: tuple[Prompt, ...] = ()
    """complete prompts, to which the command adds nothing"""


class BadRow(NamedTuple):
    """A row nobody can ask about. It stays in the batch as failed, with its reason."""

    message: str
    code: str = RowInvalid.code
    custom_id: str | None = None
    columns: Mapping[str, Any] | None = None


Rows = Iterator[Row | BadRow]


def rows_of(pictures: Iterable[Picture]) -> Iterator[Row]:
    """Each picture as a row of its own."""
    return (Row(pictures=(picture,)) for picture in pictures)
