"""A page of ids becomes complete rows: what they hang on is fetched once a page, not once a row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from pipeline.errors import InvalidAnswer
from pipeline.jobs import State
from pipeline.locators import display
from pipeline.store.current import origin, text
from pipeline.store.rows import AnswerRow, BuildRow, ItemRow, PictureRow, PromptRow, ReviewRow, RuntimeRow
from pipeline.tables import answers, builds, images, job_images, jobs, prompts, reviews, runtimes, workers

Row = sa.Row[Any]
ITEM = (
    jobs.c.id,
    jobs.c.prompt_id,
    jobs.c.state,
    jobs.c.error_code,
    jobs.c.error,
    jobs.c.attempts,
    jobs.c.updated,
    jobs.c.model,
    answers.c.id.label("answer_id"),
)
"""what `items` reads of a job and of the answer beside it"""


def answers_by_id(connection: sa.Connection, ids: Collection[int]) -> dict[int, AnswerRow]:
    """The answers with these ids, whole."""
    if not ids:
        return {}
    query = (
        sa.select(answers, text.label("current_text"), origin.label("origin"), jobs.c.model, jobs.c.prompt_id)
        .join(jobs, jobs.c.id == answers.c.job_id)
        .where(answers.c.id.in_(ids))
    )
    found = connection.execute(query).all()
    shown = pictures(connection, {row.job_id for row in found})
    asked = asked_by_id(connection, {row.prompt_id for row in found})
    built = {row.id: build(row) for row in _by_id(connection, builds, {row.build_id for row in found})}
    ran = {row.id: _runtime(row) for row in _by_id(connection, runtimes, {row.runtime_id for row in found})}
    owners = {row.id: row.owner for row in _by_id(connection, workers, {row.worker_id for row in found})}
    judged = _reviews(connection, {row.origin for row in found})

    def whole(row: Row) -> AnswerRow:
        question, prompt = asked[row.prompt_id]
        return AnswerRow(
            id=row.id,
            job=row.job_id,
            pictures=shown.get(row.job_id, ()),
            question=question,
            text=row.current_text,
            model_text=row.text,
            review=judged.get(row.origin),
            parsed=_parsed(row, prompt),
            prompt=prompt,
            model=row.model,
            build=built[row.build_id],
            runtime=ran[row.runtime_id],
            worker=owners.get(row.worker_id),
            finish_reason=row.finish_reason,
            prompt_tokens=row.prompt_tokens,
            answer_tokens=row.answer_tokens,
            logprob=row.logprob,
            seed=row.seed,
            queue_s=row.queue_s,
            read_s=row.read_s,
            vision_s=row.vision_s,
            first_token_s=row.first_token_s,
            total_s=row.total_s,
            cached_from=row.cached_from,
            created=row.created,
        )

    return {row.id: whole(row) for row in found}


def items(connection: sa.Connection, found: Sequence[Row], batch: str | None = None) -> list[ItemRow]:
    """Items from rows of `ITEM`, with the columns of their batch's item when it is named."""
    answered = answers_by_id(connection, {row.answer_id for row in found if row.answer_id is not None})
    bare = [row for row in found if row.answer_id is None and row.id is not None]
    shown = pictures(connection, {row.id for row in bare})
    asked = asked_by_id(connection, {row.prompt_id for row in bare})

    def whole(row: Row) -> ItemRow:
        item = row._mapping
        answer = answered.get(row.answer_id)
        question, prompt = (answer.question, answer.prompt) if answer else asked.get(row.prompt_id, (None, None))
        return ItemRow(
            batch=batch,
            row=item.get("row_no"),
            ask=item.get("ask_no"),
            custom_id=item.get("custom_id"),
            columns=item.get("columns"),
            name=item.get("name"),
            job=row.id,
            state=State(row.state or State.FAILED),
            error_code=item.get("item_error_code") or row.error_code,
            error=item.get("item_error") or row.error,
            attempts=row.attempts or 0,
            updated=row.updated,
            model=row.model,
            pictures=answer.pictures if answer else shown.get(row.id, ()),
            question=question,
            prompt=prompt,
            answer=answer,
        )

    return [whole(row) for row in found]


def pictures(connection: sa.Connection, job_ids: Collection[int]) -> dict[int, tuple[PictureRow, ...]]:
    """The pictures of each job, in order."""
    if not job_ids:
        return {}
    query = (
        sa.select(job_images, images.c.bytes, images.c.width, images.c.height, images.c.format)
        .outerjoin(images, images.c.sha256 == job_images.c.sha256)
        .where(job_images.c.job_id.in_(job_ids))
        .order_by(job_images.c.job_id, job_images.c.position)
    )
    found: dict[int, list[PictureRow]] = defaultdict(list)
    for row in connection.execute(query):
        found[row.job_id].append(_picture(row))
    return {job: tuple(rows) for job, rows in found.items()}


def asked_by_id(connection: sa.Connection, ids: Collection[int | None]) -> dict[int, tuple[str, PromptRow]]:
    """The question and the rest of each prompt."""
    return {row.id: (row.question, _prompt(row)) for row in _by_id(connection, prompts, ids)}


def _by_id(connection: sa.Connection, table: sa.Table, ids: Collection[int | None]) -> Sequence[Row]:
    wanted = [id for id in ids if id is not None]
    return connection.execute(sa.select(table).where(table.c.id.in_(wanted))).all() if wanted else []


def _reviews(connection: sa.Connection, ids: Collection[int]) -> dict[int, ReviewRow]:
    """The review of each answer that counts: the newest, a correction before a mere verdict."""
    query = sa.select(reviews).where(reviews.c.answer_id.in_(ids))
    query = query.order_by(reviews.c.text.is_not(None), reviews.c.id)
    return {row.answer_id: _review(row) for row in connection.execute(query)}


def history(connection: sa.Connection, ids: Collection[int]) -> dict[int, tuple[ReviewRow, ...]]:
    """All that was said about each answer, the newest first."""
    query = sa.select(answers.c.id.label("about"), reviews).join(reviews, reviews.c.answer_id == origin)
    query = query.where(answers.c.id.in_(ids)).order_by(reviews.c.id.desc())
    found: dict[int, list[ReviewRow]] = defaultdict(list)
    for row in connection.execute(query):
        found[row.about].append(_review(row))
    return {about: tuple(rows) for about, rows in found.items()}


def _parsed(row: Row, prompt: PromptRow) -> Any:
    """The answer's value in its form, also of a person's text; none when that does not have the form."""
    if prompt.form is None or row.current_text == row.text:
        return row.parsed
    from pipeline import forms

    try:
        return forms.parsed(prompt.form, row.current_text)
    except InvalidAnswer:
        return None


def _review(row: Row) -> ReviewRow:
    return ReviewRow(verdict=row.verdict, text=row.text, reviewer=row.reviewer, created=row.created)


def _picture(row: Row) -> PictureRow:
    return PictureRow(
        name=display(row.locator),
        locator=row.locator,
        size=row.size,
        mtime_ns=row.mtime_ns,
        sha256=row.sha256.hex() if row.sha256 is not None else None,
        bytes=row.bytes,
        width=row.width,
        height=row.height,
        format=row.format,
    )


def _prompt(row: Row) -> PromptRow:
    before = [(role, words) for role, words in row.messages[:-1]]
    system = before.pop(0)[1] if before and before[0][0] == "system" else None
    return PromptRow(system=system, examples=tuple(before), parameters=row.parameters, form=row.form)


def build(row: Row) -> BuildRow:
    """A build, from a row with its columns."""
    return BuildRow(
        digest=row.digest.hex(),
        family=row.family,
        source=row.source,
        revision=row.revision,
        precision=row.precision,
        recipe=row.recipe,
        tools=row.tools,
        licence=row.licence,
        path=row.path,
    )


def _runtime(row: Row) -> RuntimeRow:
    return RuntimeRow(
        engine=row.engine,
        device=row.device,
        device_name=row.device_name,
        versions=row.versions,
        options=row.options,
    )
