"""The fields people filter by: `--where device=CPU --where answer_tokens>20`, never SQL.

Each expression speaks of `jobs`, `prompts` and `answers`, which every listing has in its FROM; what
hangs on them is looked up by subqueries, so that a filter never changes a listing's joins. A name is an
item's: a listing without `batch_items` says by `names` which ones it means.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from pipeline.errors import FieldUnknown, UsageError
from pipeline.jobs import State
from pipeline.locators import locate, parted
from pipeline.store.current import text, verdict
from pipeline.store.dialects import likely
from pipeline.tables import aliases, answers, batch_items, builds, images, job_images, jobs, prompts, runtimes

Condition = sa.ColumnElement[bool]
Names = sa.Select[tuple[str | None]]
_item = batch_items.alias()


@dataclass(frozen=True, slots=True)
class Field:
    """A field: its kind (how a value is read from text) and what it stands for in SQL."""

    read: Callable[[str], Any]
    expression: sa.ColumnElement[Any]
    help: str
    ordered: bool = True
    """whether one value can be more than another"""


@dataclass(frozen=True, slots=True)
class Filter:
    """One `--where`, as a person wrote it and taken apart."""

    field: str
    sign: str
    value: Any

    @classmethod
    def parse(cls, text: str) -> Filter:
        parts = re.fullmatch(r"\s*(\w+)\s*(!=|=|<|>)\s*(.*)", text, re.DOTALL)
        if not parts:
            raise UsageError(detail=f"{text!r} is no filter: write field=value, or with !=, < or > in place of =.")
        name, sign, value = parts.groups()
        if name not in FIELDS:
            raise FieldUnknown(field=name, known=", ".join(FIELDS))
        try:
            found = cls(name, sign, FIELDS[name].read(value))
        except ValueError as error:
            raise UsageError(detail=f"{text!r} is no filter: {name} is {error}.") from None
        if sign in "<>" and not FIELDS[name].ordered:
            raise UsageError(detail=f"{text!r} is no filter: {name} is neither more nor less, write = or !=.")
        return found

    def condition(self, names: Names | None = None) -> Condition:
        expression = FIELDS[self.field].expression
        if names is not None and expression is batch_items.c.name:
            # Not EXISTS: PostgreSQL would rather read all items once than look up those of the few jobs on a page.
            found = likely(sa.literal(self.value).in_(names))
            return found if self.sign == "=" else ~found
        found = SIGNS[self.sign](expression, self.value)
        # Of a column the database knows how rare its values are, and it may have an index.
        return found if isinstance(expression, sa.Column) else likely(found)


def conditions(where: Iterable[str | Filter], names: Names | None = None) -> list[Condition]:
    """What all of the filters ask for; of items, or of jobs that have these names."""
    return [(Filter.parse(given) if isinstance(given, str) else given).condition(names) for given in where]


def names(batch: int | None = None) -> Names:
    """The names under which a job was asked for, in one batch or in any."""
    found = sa.select(_item.c.name).where(_item.c.job_id == jobs.c.id).correlate(jobs)
    # As a range, so that SQLite looks the job up: by `=` it read through the batch.
    return found if batch is None else found.where(_item.c.batch_id.between(batch, batch))


SIGNS: dict[str, Callable[[sa.ColumnElement[Any], Any], Condition]] = {
    "=": lambda expression, value: expression == value,
    # "not int4" includes what has no precision: a plain != would leave NULL out.
    "!=": lambda expression, value: expression.is_distinct_from(value),
    "<": lambda expression, value: expression < value,
    ">": lambda expression, value: expression > value,
}


# --- values from text ----------------------------------------------------------------------------


def _text(text: str) -> str:
    return text


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("a number") from None


def _yes_no(text: str) -> bool:
    if text.lower() not in ("yes", "no", "true", "false"):
        raise ValueError("yes or no")
    return text.lower() in ("yes", "true")


def _time(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise ValueError("a time, such as 2026-05-01 or 2026-05-01T14:30") from None


def _build(text: str) -> sa.ColumnElement[Any]:
    """The build that begins with these hex digits, or the one that the job's model stands for now."""
    if text == "current":
        return _of(aliases.c.build_id, aliases.c.alias == jobs.c.model)
    if not re.fullmatch(r"[0-9a-fA-F]{4,128}", text):
        raise ValueError("current, or at least four digits of a build as listings show it")
    # As bytes a digest lies between its first digits followed by nothing, and followed by nothing but f.
    least, most = bytes.fromhex(text + "0" * (len(text) % 2)), bytes.fromhex(text.ljust(128, "f"))
    return sa.select(sa.func.min(builds.c.id)).where(builds.c.digest.between(least, most)).scalar_subquery()


def _place(text: str) -> str:
    """The locator of a path, or of an archive's member; a locator stays as it is."""
    if re.match(r"\w+:", text):
        return text
    path, member = parted(text)
    return locate(path, None, member)


# --- what the names stand for --------------------------------------------------------------------


def _of(column: sa.ColumnElement[Any], row: sa.ColumnElement[bool]) -> sa.ColumnElement[Any]:
    return sa.select(column).where(row).correlate(jobs, answers).scalar_subquery()


def _of_build(column: str) -> sa.ColumnElement[Any]:
    return _of(builds.c[column], builds.c.id == answers.c.build_id)


def _of_runtime(column: str) -> sa.ColumnElement[Any]:
    return _of(runtimes.c[column], runtimes.c.id == answers.c.runtime_id)


_first = sa.and_(job_images.c.job_id == jobs.c.id, job_images.c.position == 0)


def _picture(column: str) -> sa.ColumnElement[Any]:
    return _of(images.c[column], sa.and_(_first, images.c.sha256 == job_images.c.sha256))


FIELDS: dict[str, Field] = {
    "job": Field(_number, jobs.c.id, "the job's number"),
    "state": Field(_text, sa.func.coalesce(jobs.c.state, State.FAILED), "queued, running, done, failed, cancelled"),
    "error_code": Field(_text, jobs.c.error_code, "the code of a failure, such as image_missing"),
    "attempts": Field(_number, jobs.c.attempts, "tries that failed"),
    "model": Field(_text, jobs.c.model, "the model's alias"),
    "picture": Field(_place, _of(job_images.c.locator, _first), "the first picture's path or locator"),
    "width": Field(_number, _picture("width"), "the first picture's width"),
    "height": Field(_number, _picture("height"), "the first picture's height"),
    "format": Field(_text, _picture("format"), "the first picture's format, such as JPEG"),
    "name": Field(_text, batch_items.c.name, "the question's name", ordered=False),
    "question": Field(_text, prompts.c.question, "the question, word for word"),
    "text": Field(_text, text, "the answer, word for word"),
    "verdict": Field(_text, verdict, "a person's: right, wrong or corrected"),
    "finish_reason": Field(_text, answers.c.finish_reason, "stop or length"),
    "prompt_tokens": Field(_number, answers.c.prompt_tokens, "tokens asked"),
    "answer_tokens": Field(_number, answers.c.answer_tokens, "tokens answered"),
    "logprob": Field(_number, answers.c.logprob, "mean log-probability of the answer's tokens"),
    "total_s": Field(_number, answers.c.total_s, "seconds in the engine"),
    "created": Field(_time, answers.c.created, "when it was answered"),
    "cached": Field(_yes_no, answers.c.cached_from.is_not(None), "taken from an equal picture's answer", ordered=False),
    "build": Field(_build, answers.c.build_id, "the build that answered: its first digits, or current", ordered=False),
    "family": Field(_text, _of_build("family"), "the build's model family"),
    "source": Field(_text, _of_build("source"), "what the build was made from"),
    "precision": Field(_text, _of_build("precision"), "the build's precision, such as int4"),
    "engine": Field(_text, _of_runtime("engine"), "batching, serial or fake"),
    "device": Field(_text, _of_runtime("device"), "the device that answered, such as CPU"),
}
