"""Batch files in the form of the OpenAI API: each line is a request with an id of its own.

    {"custom_id": "a-1", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": [...], ...}}

Each line that is not empty is one row, whatever stands in it: what cannot be asked says why, and keeps its id.
Pictures inside of the lines (`data:`) become files; neither rows nor messages carry them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline import blobs
from pipeline.display import printable, size
from pipeline.errors import ForbiddenUrl, JobError, RowInvalid
from pipeline.locators import Picture
from pipeline.settings import Settings
from pipeline.sources import completions, named
from pipeline.sources.manifests.jsonlines import DECODER
from pipeline.sources.manifests.lines import Lines
from pipeline.sources.manifests.source import Source
from pipeline.sources.rows import BadRow, Row, Rows

KEYS = ("custom_id", "method", "url", "body")
URL = "/v1/chat/completions"
METHOD = "POST"
SCHEMES = ("file:", "https:", "http:")
_BOM = b"\xef\xbb\xbf"
_KEY = re.compile(rf'"({"|".join(KEYS)})"\s*:'.encode())
_ENOUGH = 3
"""so many of the keys make a line one of ours, also when the fourth is missing"""


def recognises(head: bytes) -> bool:
    """Whether a file that begins like this is one of these. Its first line may be broken, or too long to be whole."""
    first = head.removeprefix(_BOM).lstrip().partition(b"\n")[0]
    try:
        found = json.loads(first)
    except (ValueError, RecursionError):
        found = dict.fromkeys(_KEY.findall(first)) if first.startswith(b"{") else None
        return found is not None and len(found) >= _ENOUGH
    return isinstance(found, dict) and sum(key in found for key in KEYS) >= _ENOUGH


def rows(source: Source, settings: Settings, *, warn: Callable[[str], None]) -> Rows:
    """The rows of a file.

    `file:` addresses must lie below the allowed folders, or below the file's own where the settings name none.
    `warn` is told once when the file asks for another model than the one that answers.
    """
    source.longest_line = max(source.longest_line, 2 * settings.max_picture_bytes)
    reader = _Reader(_guarded(settings, source.folder), blobs.folder(settings), warn)
    lines = Lines(source)
    number = 0
    for number, line in enumerate(lines, 1):
        if number in lines.too_long:
            yield BadRow(message=f"line {number}: it is longer than {size(source.longest_line)}")
        elif not line.isspace():
            yield reader.row(number, line)
    if lines.damage:
        yield BadRow(message=f"line {number + 1}: {lines.damage}; what follows is lost")


def _guarded(settings: Settings, base: Path) -> Settings:
    return settings if settings.allowed_roots is not None else replace(settings, allowed_roots=(base.absolute(),))


@dataclass(slots=True)
class _Reader:
    """Makes rows of lines, and remembers which ids there were."""

    settings: Settings
    blobs: Path
    warn: Callable[[str], None]
    seen: set[str] = field(default_factory=set)
    told: bool = False

    def row(self, number: int, line: str) -> Row | BadRow:
        custom_id = None
        try:
            request = _parsed(line)
            custom_id = _custom_id(request)
            self._insist_on_new(custom_id)
            asked = completions.read(_body(request))
            self._tell_of_model(asked.model)
            pictures = tuple(self._picture(url) for url in asked.pictures)
            return Row(pictures=pictures, custom_id=custom_id, prompts=(asked.prompt,))
        except RecursionError:
            return _refused(number, RowInvalid(why="it is nested too deeply"), custom_id)
        except JobError as error:
            return _refused(number, error, custom_id)

    def _insist_on_new(self, custom_id: str) -> None:
        if custom_id in self.seen:
            raise RowInvalid(why="an earlier line has the same custom_id")
        self.seen.add(custom_id)

    def _tell_of_model(self, model: str | None) -> None:
        if model is None or model == self.settings.model or self.told:
            return
        self.told = True
        self.warn(f"The file asks for the model {printable(model)}: that is not looked at, -m says which one answers.")

    def _picture(self, url: str) -> Picture:
        scheme = url[:8].lower()
        if scheme.startswith("data:"):
            return blobs.keep(blobs.of_data_url(url, self.settings.max_picture_bytes), self.blobs)
        if not scheme.startswith(SCHEMES):
            raise ForbiddenUrl(why="a picture's address begins with data:, https: or file:")
        return named.picture(url, None, self.settings)


def _refused(number: int, error: JobError, custom_id: str | None) -> BadRow:
    return BadRow(message=f"line {number}: {error}", code=error.code, custom_id=custom_id)


def _parsed(line: str) -> dict[str, Any]:
    try:
        line.encode()
        found = DECODER.decode(line)
    except UnicodeEncodeError:
        raise RowInvalid(why="it is no UTF-8") from None
    except json.JSONDecodeError as error:
        raise RowInvalid(why=f"it is no JSON ({error.msg.lower()}, column {error.colno})") from None
    except ValueError as error:  # NaN, a number of thousands of digits
        raise RowInvalid(why=f"it is no JSON that can be used ({error})") from None
    if not isinstance(found, dict):
        raise RowInvalid(why="it is no JSON object")
    return found


def _custom_id(request: dict[str, Any]) -> str:
    """The line's id, if the database can give it back as it is."""
    given = request.get("custom_id")
    if not isinstance(given, str) or not given:
        raise RowInvalid(why="it has no custom_id, which must be text")
    try:
        given.encode()
    except UnicodeEncodeError:
        raise RowInvalid(why="its custom_id is no text") from None
    if "\0" in given:
        raise RowInvalid(why="its custom_id holds a NUL character")
    return given


def _body(request: dict[str, Any]) -> object:
    if request.get("method") != METHOD:
        raise RowInvalid(why=f"its method is not {METHOD}")
    if request.get("url") != URL:
        raise RowInvalid(why=f"its url is not {URL}, the only one answered here")
    return request.get("body")
