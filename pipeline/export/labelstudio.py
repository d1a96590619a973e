"""Label Studio: tasks to import, each a picture with its answers as a prediction."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote_from_bytes

from pipeline.export.listed import Listed, listed
from pipeline.export.order import Order, Tally
from pipeline.export.places import Places
from pipeline.locators import BLOB, FILE, INSIDE, MEDIA
from pipeline.store.rows import AnswerRow, ItemRow, PictureRow

IMAGE = "image"
_LOCAL = "/data/local-files/?d="
_CHOSEN = ("choices", "yes_no")


class Tasks:
    """Items of one row, which follow each other, are one task."""

    def __init__(self, tasks: Listed, order: Order, tally: Tally) -> None:
        self._tasks, self._tally = tasks, tally
        self._places = Places.of(order)
        self._row: list[ItemRow] = []

    def write(self, item: ItemRow) -> None:
        why = self._why_not(item)
        if why is not None:
            self._tally.left(why)
            return
        if self._row and _row(self._row[0]) != _row(item):
            self.end_row()
        self._row.append(item)

    def end_row(self) -> None:
        """Write what was gathered."""
        if self._row:
            first = self._row[0]
            address = self._address(first.pictures[0])
            data = {**(first.columns or {}), IMAGE: address, "custom_id": first.custom_id}
            self._tasks.add({"data": data, "predictions": [_prediction(self._row)]})
            self._row = []

    def _why_not(self, item: ItemRow) -> str | None:
        if len(item.pictures) != 1:
            return "about several pictures"
        return None if self._address(item.pictures[0]) else "about pictures that Label Studio could not open"

    def _address(self, picture: PictureRow) -> str | None:
        """Under which Label Studio finds the picture: files below the folder that it serves."""
        if not picture.locator.startswith((FILE, MEDIA, BLOB)):
            return picture.locator
        path = None if INSIDE in picture.locator else self._places.file(picture)
        if path is None or not path.startswith(self._places.root):
            return None
        return _LOCAL + quote_from_bytes(os.fsencode(path.removeprefix(self._places.root)))


@contextmanager
def labelstudio(order: Order, tally: Tally) -> Iterator[Tasks]:
    with listed(order, tally) as tasks:
        writer = Tasks(tasks, order, tally)
        yield writer
        writer.end_row()


def _row(item: ItemRow) -> tuple[Any, ...]:
    return item.batch, item.row, [picture.locator for picture in item.pictures]


def _prediction(items: list[ItemRow]) -> dict[str, Any]:
    answers = [item.answer for item in items if item.answer is not None]
    prediction = {
        "model_version": f"{answers[0].model} {answers[0].build.digest[:8]}",
        "result": [_result(item, answer) for item, answer in zip(items, answers, strict=True)],
    }
    sure = [answer.logprob for answer in answers if answer.logprob is not None]
    return {**prediction, "score": math.exp(min(sure))} if sure else prediction


def _result(item: ItemRow, answer: AnswerRow) -> dict[str, Any]:
    type, value = _value(answer)
    number = f"_{item.ask + 1}" if item.ask else ""
    return {
        "id": f"job-{answer.job}",
        "from_name": item.name or f"caption{number}",
        "to_name": IMAGE,
        "type": type,
        "value": value,
    }


def _value(answer: AnswerRow) -> tuple[str, Mapping[str, Any]]:
    kind = (answer.prompt.form or {}).get("kind")
    if kind in _CHOSEN:
        return "choices", {"choices": [answer.text]}
    if kind == "number" and (found := _number(answer.text)) is not None:
        return "number", {"number": found}
    return "textarea", {"text": [answer.text]}


def _number(text: str) -> float | int | None:
    try:
        found = float(text)
    except ValueError:
        return None
    if not math.isfinite(found):
        return None
    return int(found) if found.is_integer() else found
