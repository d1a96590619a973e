"""VQAv2: questions about COCO's pictures, which go by their numbers."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.sources.formats.json_items import events, items
from pipeline.sources.manifests.columns import ID, IMAGE, QUESTION
from pipeline.sources.manifests.records import Record, Table
from pipeline.sources.manifests.source import Source

_SUBSET = "data_subtype"
_FILE = "file_name"
_NAMES = ("image_id", "question", "question_id")


def vqav2(source: Source) -> Table:
    """The questions. The file says which subset they are about, such as val2014: that is in the pictures' names."""
    meaning = {QUESTION: "question", ID: "question_id"}
    subset = next((value for path, event, value in events(source.blocks()) if path == _SUBSET), None)
    records = items(source.blocks(), "questions.item")
    if subset is None:
        return Table(names=_NAMES, records=records, unit="question", meaning=meaning)
    named = _with_files(records, str(subset))
    return Table(names=(*_NAMES, _FILE), records=named, unit="question", meaning={**meaning, IMAGE: _FILE})


def _with_files(records: Iterator[Record], subset: str) -> Iterator[Record]:
    for number, values in records:
        if isinstance(values, dict) and isinstance(values.get("image_id"), int):
            values[_FILE] = f"COCO_{subset}_{values['image_id']:012}.jpg"
        yield number, values
