"""Recognising a manifest's format: by its name, else by how it begins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.errors import UsageError
from pipeline.sources import openai
from pipeline.sources.formats.json_items import events
from pipeline.sources.manifests.source import Source

OPENAI = "openai"
_SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".parquet": "parquet", ".pq": "parquet"}
_PARQUET = b"PAR1"
_BEFORE_JSON = b"\xef\xbb\xbf \t\r\n"
_DOCUMENTS = {"images.item": "coco", "questions.item": "vqav2"}
"""where a document has a list of objects -> its format"""


def recognised(source: Source) -> str:
    """The name of a format."""
    if source.suffix in _SUFFIXES:
        return _SUFFIXES[source.suffix]
    if not (head := source.head().lstrip(_BEFORE_JSON)):
        raise UsageError(detail=f"{source.shown} is empty.")
    if head.startswith(_PARQUET):
        return "parquet"
    if openai.recognises(head):
        return OPENAI
    if head.startswith(b"["):
        return _of_list(_begin(source))
    return _of_objects(source) if head.startswith(b"{") else "csv"


def _begin(source: Source) -> Iterator[tuple[str, str, Any]]:
    """What happens in it; of a pipe no more than what has come, for the rest is still to be read."""
    return events(iter([source.head()]) if source.once else source.blocks())


def _of_objects(source: Source) -> str:
    """JSON lines, known by the first, or one document, known by what is in its lists."""
    names: set[str] = set()
    for path, event, value in _begin(source):
        if event == "start_map" and path in _DOCUMENTS:
            return _DOCUMENTS[path]
        if path == "" and event == "map_key":
            names.add(value)
        if path == "" and event == "end_map":
            break
    else:
        if source.suffix not in ("", ".jsonl", ".ndjson"):
            raise UsageError(detail=f"{source.shown} is JSON of an unknown form: say which with --format.")
    return "llava" if "conversations" in names else "jsonl"


def _of_list(found: Iterator[tuple[str, str, Any]]) -> str:
    """Known by its first item."""
    names: set[str] = set()
    for path, event, value in found:
        if path == "item" and event == "map_key":
            names.add(value)
        if path == "item" and event == "end_map":
            break
    return "llava" if "conversations" in names else "labelstudio" if "data" in names else "json"
