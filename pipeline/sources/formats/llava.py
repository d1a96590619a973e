"""LLaVA: conversations about pictures, of which each turn of the human is a question."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.sources.formats.json_items import items
from pipeline.sources.manifests.columns import ID, IMAGE, QUESTION
from pipeline.sources.manifests.jsonlines import jsonlines
from pipeline.sources.manifests.records import Broken, Record, Table
from pipeline.sources.manifests.source import Source

CONVERSATIONS = "conversations"
_MARK = "<image>"
_HUMAN = ("human", "user")
_NAMES = ("id", "image", "questions", "answers")


def llava(source: Source) -> Table:
    """The conversations of a JSON list or of JSON lines. What the other side said passes through as `answers`."""
    listed = source.head().lstrip().startswith(b"[")
    records = items(source.blocks(), "item") if listed else jsonlines(source).records
    meaning = {IMAGE: "image", QUESTION: "questions", ID: "id"}
    unit = "conversation" if listed else "line"
    return Table(names=_NAMES, records=_told(records), unit=unit, meaning=meaning)


def _told(records: Iterator[Record]) -> Iterator[Record]:
    for number, values in records:
        yield number, _turns(values) if isinstance(values, dict) else values


def _turns(values: dict[str, Any]) -> dict[str, Any] | Broken:
    turns = values.pop(CONVERSATIONS, None)
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        return Broken(f"it has no list of {CONVERSATIONS}")
    said = [(turn.get("from", turn.get("role")), turn.get("value", turn.get("content"))) for turn in turns]
    if not all(isinstance(text, str) for _, text in said):
        return Broken("what is said in it is no text")
    values["questions"] = [text.replace(_MARK, "").strip() for who, text in said if who in _HUMAN]
    values["answers"] = [text for who, text in said if who not in _HUMAN]
    return values
