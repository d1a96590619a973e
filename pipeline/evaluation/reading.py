"""Reading the truth: tables of any format that manifests have, VQAv2's annotations, COCO's captions."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.errors import UsageError
from pipeline.evaluation.truth import CAPTION, Truth
from pipeline.export.texts import utf8
from pipeline.settings import Settings
from pipeline.sources.formats.json_items import events, items
from pipeline.sources.manifests.manifest import READERS
from pipeline.sources.manifests.records import Broken, Record, Table
from pipeline.sources.manifests.source import Source

OPTION = "--gt"

ID, PICTURE, QUESTION, ANSWER, KIND = "id", "picture", "question", "answer", "kind"
COLUMNS: Mapping[str, tuple[str, ...]] = {
    ID: ("custom_id", "id", "question_id", "uid", "key"),
    PICTURE: (
        "picture", "file_name", "filename", "image", "image_path", "image_file", "image_name", "path", "file", "img",
    ),
    QUESTION: ("question", "prompt", "query"),
    ANSWER: (
        "answers", "answer", "truth", "ground_truth", "gt", "references", "reference", "captions", "caption", "label",
        "text",
    ),
    KIND: ("kind", "answer_type", "question_type", "type", "category"),
}  # fmt: skip
"""what columns are called, the surest first"""
_OF_CAPTIONS = ("captions", "caption")
_SUFFIXES = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".parquet": "parquet", ".pq": "parquet", ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}  # fmt: skip
_BEGINS = {b"[": "json", b"{": "jsonl", b"PAR1": "parquet"}
_BEFORE_JSON = b"\xef\xbb\xbf \t\r\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """One thing that is true."""

    answers: tuple[str, ...]
    id: str = ""
    picture: str = ""
    question: str = ""
    kind: str | None = None


Line = tuple[int, "Told | Broken"]
"""where it stands, and what it says"""


def read(name: str, settings: Settings) -> Truth:
    """The truth in a file. What cannot be used of it is counted there. Raises UsageError if nothing can."""
    source = Source(name, settings, OPTION)
    truth = Truth()
    unit, lines = DOCUMENTS.get(_document(source), _rows)(source, truth)
    for number, told in lines:
        if isinstance(told, Broken):
            truth.unusable.add(f"{unit} {number:,}: {told.why}")
        else:
            truth.add(told.picture, told.question, *told.answers, id=told.id, kind=told.kind)
    if not truth.known:
        why = f": {truth.unusable.listed('; ')}" if truth.unusable else ""
        raise UsageError(detail=f"{OPTION} {source.shown} holds no truth that can be used{why}. {EXPECTED}")
    return truth


EXPECTED = (
    "A table has a column `answer` (or `answers`, `caption`) and one with the items' own ids (`custom_id`, `id`),"
    " or `picture` and `question`; VQAv2's annotations and COCO's captions are read as they are."
)


def _document(source: Source) -> str:
    """The data set's format that a JSON document has, if any; found in its beginning."""
    if not source.head().lstrip(_BEFORE_JSON).startswith(b"{"):
        return ""
    for path, event, value in events(source.blocks()):
        if path == "images.item":
            return "coco"
        if path == "annotations.item" and event == "map_key" and value in ("caption", "question_id"):
            return "coco" if value == "caption" else "vqav2"
        if path == "" and event == "end_map":
            break
    return ""


# --- data sets ------------------------------------------------------------------------------------


def _coco(source: Source, truth: Truth) -> tuple[str, Iterator[Line]]:
    truth.captions = True
    pictures = (item for _, item in items(source.blocks(), "images.item") if isinstance(item, dict))
    files = {_text(item.get("id")): _text(item.get("file_name")) for item in pictures}
    records = items(source.blocks(), "annotations.item")
    return "annotation", _together((number, _caption(item, files)) for number, item in records)


def _caption(item: dict[str, Any] | Broken, files: Mapping[str, str]) -> Told | Broken:
    if isinstance(item, Broken):
        return item
    answers, id = _answers(item.get("caption")), _text(item.get("image_id"))
    if not answers or not id:
        return Broken("it has no image_id with a caption")
    return Told(answers=answers, id=id, picture=files.get(id, ""), kind=CAPTION)


def _together(lines: Iterable[Line]) -> Iterator[Line]:
    """A picture's captions stand apart from each other: all are read before the first is told."""
    found: dict[tuple[str, str, str], tuple[int, Told]] = {}
    for number, told in lines:
        if isinstance(told, Broken):
            yield number, told
            continue
        key = (told.id, told.picture, told.question)
        first, before = found.get(key, (number, None))
        found[key] = first, replace(told, answers=(before.answers if before else ()) + told.answers)
    yield from found.values()


def _vqav2(source: Source, truth: Truth) -> tuple[str, Iterator[Line]]:
    records = items(source.blocks(), "annotations.item")
    return "annotation", ((number, _annotation(item)) for number, item in records)


def _annotation(item: dict[str, Any] | Broken) -> Told | Broken:
    if isinstance(item, Broken):
        return item
    answers, id = _answers(_first(item, ("answers", "multiple_choice_answer"))), _text(item.get("question_id"))
    if not answers or not id:
        return Broken("it has no question_id with answers")
    return Told(answers=answers, id=id, kind=_text(item.get("answer_type")) or None)


Reader = Callable[[Source, Truth], tuple[str, Iterator[Line]]]
DOCUMENTS: Mapping[str, Reader] = {"coco": _coco, "vqav2": _vqav2}


# --- tables ---------------------------------------------------------------------------------------


def _rows(source: Source, truth: Truth) -> tuple[str, Iterator[Line]]:
    table = _table(source)
    columns = {role: _named(names, table.names) for role, names in COLUMNS.items()}
    if not columns[ANSWER] or not (columns[ID] or columns[PICTURE]):
        has = f"the columns {', '.join(map(repr, table.names))}" if table.names else "no columns"
        raise UsageError(detail=f"{OPTION} {source.shown} has {has}. {EXPECTED}")
    lines = (_line(record, columns) for record in table.records)
    truth.captions = columns[ANSWER][0].strip().lower() in _OF_CAPTIONS
    return table.unit, _together(lines) if truth.captions else lines


def _table(source: Source) -> Table:
    head = source.head().lstrip(_BEFORE_JSON)
    by_content = next((format for begin, format in _BEGINS.items() if head.startswith(begin)), "csv")
    return READERS[_SUFFIXES.get(source.suffix, by_content)](source)


def _named(wanted: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """The columns that may hold it, the surest first."""
    plain = {name.strip().lower().replace(" ", "_"): name for name in reversed(names)}
    return tuple(plain[name] for name in wanted if name in plain)


def _line(record: Record, columns: Mapping[str, Sequence[str]]) -> Line:
    number, values = record
    if isinstance(values, Broken):
        return number, values
    found = {role: _first(values, names) for role, names in columns.items()}
    answers = _answers(found[ANSWER])
    id, picture, question, kind = (_text(found[role]) for role in (ID, PICTURE, QUESTION, KIND))
    if not answers:
        return number, Broken("it has no answer")
    if any(utf8(text) != text for text in (*answers, question)):
        return number, Broken("it is not UTF-8, and would be wrong beside any answer: save the file as UTF-8")
    if not id and not picture:
        return number, Broken("it has neither an id nor a picture")
    return number, Told(answers=answers, id=id, picture=picture, question=question, kind=kind or None)


def _first(values: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((values[name] for name in names if values.get(name) not in (None, "", [])), None)


def _answers(value: Any) -> tuple[str, ...]:
    """Several, as a list, or as one in a cell's text; VQAv2 wraps each."""
    listed = value
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            listed = json.loads(value)
        except (ValueError, RecursionError):
            listed = value
    each = listed if isinstance(listed, list) else [listed]
    texts = (_text(one.get("answer") if isinstance(one, dict) else one) for one in each)
    return tuple(text for text in texts if text)


def _text(value: Any) -> str:
    """As a model would say it; what is neither text nor number says nothing."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):  # Parquet and JSON have 3.0 for 3 and NaN for nothing where a column has gaps
        return "" if math.isnan(value) else str(int(value) if value.is_integer() else value)
    return str(value).strip() if isinstance(value, str | int) else ""
