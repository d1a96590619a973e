"""Writing answers down for a person to look at: each with its pictures, its question and what was said so far."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from pipeline.display import to_json
from pipeline.errors import UsageError
from pipeline.export.files import replacing
from pipeline.export.texts import utf8
from pipeline.review import ANSWER, BY, TEXT, VERDICT
from pipeline.store.rows import AnswerRow

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""with these, spreadsheets take a text for a formula"""
BETWEEN = "; "
NAMES = (ANSWER, "job", "pictures", "question", "model", "said", VERDICT, TEXT, BY)

Add = Callable[[Mapping[str, Any]], None]


def write(rows: Iterable[AnswerRow], target: str) -> int:
    """A file of these answers, CSV or JSON lines by its ending. Returns how many. Raises UsageError.

    What was copied from one answer stands there once: a review of one is a review of all.
    """
    suffix = Path(target).suffix.lower()
    if suffix not in FORMATS:
        raise UsageError(detail=f"-o {target}: which format? Name a file that ends in {' or '.join(FORMATS)}.")
    count = 0
    with replacing(target) as file:
        add = FORMATS[suffix](file)
        for row in _once(rows):
            add(_cells(row))
            count += 1
    return count


def _once(rows: Iterable[AnswerRow]) -> Iterable[AnswerRow]:
    seen: set[int] = set()
    for row in rows:
        origin = row.cached_from or row.id
        if origin not in seen:
            seen.add(origin)
            yield row


def _cells(row: AnswerRow) -> dict[str, Any]:
    review = row.review
    return {
        ANSWER: row.id,
        "job": row.job,
        "pictures": [utf8(picture.name) for picture in row.pictures],
        "question": row.question,
        "model": row.model,
        "said": row.model_text,
        VERDICT: review.verdict if review else None,
        TEXT: review.text if review else None,
        BY: review.reviewer if review else None,
    }


def _csv(file: TextIO) -> Add:
    file.write("\ufeff")  # by this mark spreadsheets take a file for UTF-8
    writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(NAMES)

    def add(cells: Mapping[str, Any]) -> None:
        shown = {**cells, "pictures": BETWEEN.join(cells["pictures"])}
        writer.writerow([_safe(shown[name]) for name in NAMES])

    return add


def _safe(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def unsafe(text: str) -> str:
    """A text from a spreadsheet as it was before it was made safe for it."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def _lines(file: TextIO) -> Add:
    return lambda cells: print(to_json(cells, ascii_only=True), file=file)


FORMATS: dict[str, Callable[[TextIO], Add]] = {".csv": _csv, ".jsonl": _lines}
