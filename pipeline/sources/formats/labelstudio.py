"""Label Studio: tasks as it imports and exports them, the picture and the rest within `data`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pipeline.sources.formats.json_items import items
from pipeline.sources.manifests.jsonlines import named
from pipeline.sources.manifests.records import Broken, Record, Table
from pipeline.sources.manifests.source import Source

DATA = "data"
_TASK = "task_id"
_LOCAL = "/data/local-files/"
_UPLOADED = "/data/"


def labelstudio(source: Source) -> Table:
    """The tasks; the columns are what their data has. Annotations and predictions stay behind."""
    table = named(_flat(items(source.blocks(), "item")), unit="task")
    return Table(names=table.names, records=table.records, unit=table.unit, meaning={"id": _TASK})


def _flat(records: Iterator[Record]) -> Iterator[Record]:
    for number, values in records:
        yield number, _data(values) if isinstance(values, dict) else values


def _data(task: dict[str, Any]) -> dict[str, Any] | Broken:
    data = task.get(DATA)
    if not isinstance(data, dict):
        return Broken("it has no data")
    return {_TASK: task.get("id"), **{name: _path(value) for name, value in data.items()}}


def _path(value: Any) -> Any:
    """A file that Label Studio serves, as a path below the folder it serves from."""
    if not isinstance(value, str) or not value.startswith(_UPLOADED):
        return value
    if value.startswith(_LOCAL):
        named = parse_qs(urlsplit(value).query).get("d")
        return named[0] if named else value
    return unquote(value.removeprefix(_UPLOADED))
