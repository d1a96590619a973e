"""Items with answers, made without a database, for tests of what is written from them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.jobs import State
from pipeline.locators import locate
from pipeline.store.rows import AnswerRow, BuildRow, ItemRow, PictureRow, PromptRow, RuntimeRow

BUILD = BuildRow(
    digest="ab" * 16,
    family="llava",
    source=None,
    revision=None,
    precision="int4",
    recipe=None,
    tools=None,
    licence=None,
    path="/models/x",
)
RUNTIME = RuntimeRow(engine="batching", device="CPU", device_name="A processor", versions={}, options={})

NASTY = (
    "plain",
    'a "quoted", comma; and \\backslash',
    "two\nlines\r\nand a\rthird",
    "käse 猫 🐈 \u202e\u2028",
    "=1+2",
    " spaces ",
    "<b>&amp;</b>",
    "",
)
"""texts that formats have trouble with"""


def place(name: str | bytes | Path, **more: Any) -> PictureRow:
    """A picture by its path, or by its whole locator."""
    text = os.fsdecode(name)
    locator = text if ":" in text.partition("/")[0] else locate(text, None)
    shown = os.fsencode(text).decode("utf-8", "replace")
    found = {"sha256": "00" * 32, "bytes": 10, "width": 4, "height": 3, "format": "BMP", **more}
    return PictureRow(name=shown, locator=locator, size=10, mtime_ns=11, **found)


def item(
    row: int,
    *pictures: str | bytes | Path | PictureRow,
    text: str | None = "a cat",
    ask: int = 0,
    name: str | None = None,
    custom_id: str | None = None,
    columns: Mapping[str, Any] | None = None,
    question: str = "What?",
    form: Mapping[str, Any] | None = None,
    state: State | None = None,
    error: str | None = None,
) -> ItemRow:
    """An item of the batch `mine`; without a text it has failed."""
    shown = tuple(one if isinstance(one, PictureRow) else place(one) for one in pictures or ("/pictures/cat.jpg",))
    prompt = PromptRow(system=None, examples=(), parameters={"max_tokens": 9}, form=form)
    job = row * 10 + ask + 1
    return ItemRow(
        batch="mine",
        row=row,
        ask=ask,
        custom_id=custom_id,
        columns=columns,
        name=name,
        job=job,
        state=state or (State.FAILED if text is None else State.DONE),
        error_code="image_missing" if text is None else None,
        error=error or ("there is no such file" if text is None else None),
        attempts=1,
        updated=2.0,
        model="llava",
        pictures=shown,
        question=question,
        prompt=prompt,
        answer=None if text is None else _answer(job, shown, question, text, prompt),
    )


def _answer(job: int, pictures: tuple[PictureRow, ...], question: str, text: str, prompt: PromptRow) -> AnswerRow:
    return AnswerRow(
        id=job,
        job=job,
        pictures=pictures,
        question=question,
        text=text,
        model_text=text,
        review=None,
        parsed=None,
        prompt=prompt,
        model="llava",
        build=BUILD,
        runtime=RUNTIME,
        worker="me/1",
        finish_reason="stop",
        prompt_tokens=30,
        answer_tokens=3,
        logprob=-0.25,
        seed=None,
        queue_s=0.1,
        read_s=0.2,
        vision_s=0.3,
        first_token_s=0.4,
        total_s=0.5,
        cached_from=None,
        created=1_000_000.25,
    )
