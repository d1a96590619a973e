"""JSON lines: one object for each item, complete enough to trace an answer without the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from pipeline.display import to_json
from pipeline.export.files import replacing
from pipeline.export.order import Order, Tally
from pipeline.store.rows import AnswerRow, ItemRow


class JsonLines:
    def __init__(self, file: TextIO, tally: Tally) -> None:
        self._file, self._tally = file, tally

    def write(self, item: ItemRow) -> None:
        # ASCII, so that even a name that is no text survives: JSON can escape it, UTF-8 cannot hold it.
        self._file.write(to_json(record(item), ascii_only=True) + "\n")
        self._tally.wrote()


@contextmanager
def jsonl(order: Order, tally: Tally) -> Iterator[JsonLines]:
    with replacing(order.file) as file:
        yield JsonLines(file, tally)


def record(item: ItemRow) -> dict[str, Any]:
    """What was asked and what came of it; then, when there is an answer, its whole origin."""
    failed = item.error_code is not None
    return {
        "custom_id": item.custom_id,
        "batch": item.batch,
        "row": item.row,
        "ask": item.ask,
        "name": item.name,
        "job": item.job,
        "state": item.state,
        "columns": item.columns,
        "pictures": item.pictures,
        "question": item.question,
        "prompt": item.prompt,
        "model": item.model,
        "text": item.answer.text if item.answer else None,
        "error": {"code": item.error_code, "message": item.error} if failed else None,
        "answer": _origin(item.answer) if item.answer else None,
    }


def _origin(answer: AnswerRow) -> dict[str, Any]:
    said_above = ("job", "pictures", "question", "prompt", "model", "text")
    return {name: getattr(answer, name) for name in AnswerRow.__dataclass_fields__ if name not in said_above}
