from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from pipeline import tables
from pipeline.errors import AliasUnknown, BatchUnknown, FieldUnknown, JobUnknown, UsageError
from pipeline.jobs import State
from pipeline.store import views as module
from pipeline.store.fields import FIELDS
from pipeline.store.values import Counts
from pipeline.store.views import Views
from tests import seeding


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("seeded") / "world.db"
    engine = sa.create_engine(f"sqlite:///{path}")
    tables.metadata.create_all(engine)
    with engine.begin() as connection:
        seeding.world(connection)
    engine.dispose()
    return path


@pytest.fixture
def engine(seeded: Path, tmp_path: Path) -> Iterator[sa.Engine]:
    engine = sa.create_engine(f"sqlite:///{shutil.copy(seeded, tmp_path)}")
    yield engine
    engine.dispose()


@pytest.fixture
def views(engine: sa.Engine) -> Views:
    return seeding.views(engine)


def texts(views: Views, *args: str, **asked: object) -> list[str]:
    return [row.text for row in views.answers(*args, **asked)]  # type: ignore[arg-type]


# --- how things stand ----------------------------------------------------------------------------


def test_progress_counts_items_not_jobs(views: Views) -> None:
    assert views.progress(1) == Counts(total=6, queued=1, done=3, failed=2)
    assert views.progress(99) == Counts()


def test_status(views: Views) -> None:
    status = views.status()
    assert status.jobs == {"queued": 1, "running": 0, "done": 2, "failed": 2, "cancelled": 0}
    assert status.batches["in_progress"] == status.batches["completed"] == 1
    assert (status.answers, status.cached) == (4, 1)
    assert [(worker.id, worker.status) for worker in status.workers] == [(1, {"running": 7})]


def test_batches_newest_first(views: Views) -> None:
    assert [row.name for row in views.batches()] == ["second", "first"]
    assert [row.name for row in views.batches(1)] == ["second"]


def test_one_batch_with_its_failures_by_code(views: Views) -> None:
    row = views.batch("first")
    assert (row.counts.failed, row.errors) == (2, {"image_missing": 1, "row_invalid": 1})
    assert (row.lane, row.state, row.finished) == ("normal", "in_progress", None)
    with pytest.raises(BatchUnknown, match="'nope'"):
        views.batch("nope")


def test_models_with_what_their_builds_answered(views: Views) -> None:
    (row,) = views.models()
    assert (row.alias, row.answers, row.build.digest, row.updated) == ("llava", 3, "aa" * 16, 3.0)
    assert views.model("llava") == row
    with pytest.raises(AliasUnknown, match="'nope'"):
        views.model("nope")


# --- answers -------------------------------------------------------------------------------------


def test_the_current_answer_is_the_correction_else_the_newest(views: Views) -> None:
    assert [(row.id, row.text) for row in views.answers()] == [(4, "100% dog"), (1, "a grey cat")]


def test_history_has_every_answer(views: Views) -> None:
    assert texts(views, history=True) == ["100% dog", "a lion", "a dog", "a grey cat"]


def test_a_verdict_alone_changes_nothing(views: Views) -> None:
    lion = next(row for row in views.answers(history=True) if row.id == 3)
    assert lion.review is not None
    assert (lion.text, lion.review.verdict) == ("a lion", "wrong")


def test_an_answer_says_how_it_came_about(views: Views) -> None:
    row = next(iter(views.answers(where=["job=1"])))
    assert (row.question, row.model_text, row.finish_reason) == ("What is it?", "a cat", "stop")
    assert row.review is not None
    assert (row.review.verdict, row.review.text, row.review.reviewer) == ("corrected", "a grey cat", "ann")
    assert (row.prompt.system, row.prompt.examples) == ("Be brief.", (("user", "Example?"), ("assistant", "Yes.")))
    assert row.prompt.parameters == {"max_tokens": 9}
    assert (row.build.digest, row.build.source, row.build.revision) == ("aa" * 16, "some/model", "r1")
    assert (row.build.precision, row.build.recipe) == ("int4", {"ratio": 1.0})
    assert (row.runtime.device, row.runtime.versions) == ("CPU", {"openvino": "2026.4"})
    assert (row.prompt_tokens, row.answer_tokens, row.total_s, row.worker) == (30, 3, 0.5, "me/1")
    (picture,) = row.pictures
    assert (picture.name, picture.locator) == ("/pictures/cat.jpg", "file:///pictures/cat.jpg")
    assert (picture.sha256, picture.width, picture.format) == ("01" * 32, 640, "JPEG")


def test_the_words_of_a_text_are_searched_as_it_counts(views: Views) -> None:
    assert texts(views, "GREY") == ["a grey cat"]
    assert texts(views, "cat a") == ["a grey cat"]
    assert texts(views, "lion") == []
    assert texts(views, "lion", history=True) == ["a lion"]
    assert texts(views, '"a cat"') == []
    assert texts(views, "gr* ca*") == ["a grey cat"]
    assert texts(views, "100%") == ["100% dog"]
    assert texts(views, "dog", where=["precision=int8"], history=True) == ["a dog"]
    assert texts(views, "!") == texts(views, "") == []


@pytest.mark.parametrize("small", [0, 10_000])
def test_answers_of_a_batch(views: Views, monkeypatch: pytest.MonkeyPatch, small: int) -> None:
    monkeypatch.setattr(module, "SMALL", small)
    assert texts(views, batch="first") == ["100% dog", "a grey cat"]
    assert texts(views, batch="second") == ["a grey cat"]
    with pytest.raises(BatchUnknown):
        views.answers(batch="nope")


def test_answers_of_a_model(views: Views) -> None:
    assert texts(views, model="other") == ["100% dog"]


def test_pages_join_seamlessly(views: Views, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 1)
    assert texts(views, history=True) == ["100% dog", "a lion", "a dog", "a grey cat"]
    assert texts(views, history=True, limit=2) == ["100% dog", "a lion"]
    assert texts(views, history=True, after=3, limit=1) == ["a dog"]
    assert [item.row for item in views.items("first")] == [0, 1, 1, 2, 3, 4]
    assert [item.job for item in views.items()] == [1, 2, 3, 4, 5]


def test_a_page_reads_no_more_than_was_asked_for(engine: sa.Engine, views: Views) -> None:
    fetched: list[int] = []

    @sa.event.listens_for(engine, "before_cursor_execute")
    def note(connection: object, cursor: object, statement: str, parameters: tuple[int, ...], *_: object) -> None:
        if "ORDER BY answers.id DESC" in statement:
            fetched.append(parameters[-2])

    assert len(texts(views, history=True, limit=3)) == 3
    assert fetched == [3]


# --- filters -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        (["precision=int4"], [4, 3, 1]),
        (["precision!=int4"], [2]),
        (["answer_tokens>3", "answer_tokens<6"], [3, 2]),
        (["text=a grey cat"], [1]),
        (["finish_reason = length"], [3]),
        (["cached=yes"], [4]),
        (["cached=no", "model=other"], [2]),
        (["width>600", "format=JPEG", "job=2"], [4, 2]),
        (["picture=/pictures/dog.jpg"], [4, 2]),
        (["picture=file:///pictures/dog.jpg"], [4, 2]),
        (["device=GPU"], []),
        (["created<1970-01-01T00:00:06+00:00"], [1]),
        (["logprob!=0"], [4, 3, 2, 1]),
        (["build=current"], [3, 1]),
        (["build!=current"], [4, 2]),
        (["build=bbbb"], [2]),
        (["build=AAAAa"], [4, 3, 1]),
        (["build=cccc"], []),
    ],
)
def test_where(views: Views, where: list[str], ids: list[int]) -> None:
    assert [row.id for row in views.answers(where=where, history=True)] == ids


def test_where_by_the_name_of_a_question(engine: sa.Engine, views: Views) -> None:
    """A job is asked for under several names, in one batch and in others."""
    with engine.begin() as connection:
        for batch, row, ask, name in ((1, 1, 0, "animal"), (1, 1, 1, "color"), (1, 4, 0, "pet"), (2, 0, 0, "thing")):
            place = {"batch_id": batch, "row_no": row, "ask_no": ask}
            connection.execute(tables.batch_items.update().filter_by(**place).values(name=name))

    def jobs(*where: str, batch: str | None = None) -> list[int]:
        return [row.job for row in views.answers(where=where, batch=batch)]

    def places(*where: str) -> list[tuple[int | None, int | None]]:
        return [(item.row, item.ask) for item in views.items("first", where=where)]

    assert jobs("name=animal") == jobs("name=thing") == jobs("name=thing", "name!=color") == [1]
    assert jobs("name!=thing") == [2]
    assert jobs("name=thing", batch="first") == []
    assert jobs("name!=thing", batch="first") == [2, 1]
    assert jobs("name=pet", batch="first") == [1]
    assert places("name=pet") == [(4, 0)]
    assert places("name!=pet", "name!=color") == [(0, 0), (1, 0), (2, 0), (3, 0)]
    assert [item.job for item in views.items(where=["name=color"])] == [3]
    assert [item.job for item in views.items(where=["name!=color"])] == [1, 2, 4, 5]
    assert [item.job for item in views.failed(where=["name=color"])] == [3]
    assert [item.job for item in views.failed(batch="first", where=["name!=color"])] == [None]
    assert list(views.ended("first", where=["name=color"])) == [(3, State.FAILED)]
    with pytest.raises(UsageError, match="name is neither more nor less"):
        views.answers(where=["name>a"])


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_can_be_asked_in_every_listing(views: Views, name: str) -> None:
    value = {"created": "2026-01-01", "cached": "yes", "build": "current"}.get(name, "1")
    for sign in ("=", "!=", "<", ">") if FIELDS[name].ordered else ("=", "!="):
        where = [f"{name}{sign}{value}"]
        for rows in (views.answers(where=where), views.items(where=where), views.items("first", where=where)):
            list(rows)
        list(views.failed(where=where))


def test_filters_that_make_no_sense_are_sentences(views: Views) -> None:
    with pytest.raises(FieldUnknown, match=r"'colour'.*answer_tokens"):
        views.answers(where=["colour=red"])
    with pytest.raises(UsageError, match="answer_tokens is a number"):
        views.answers(where=["answer_tokens>many"])
    with pytest.raises(UsageError, match="cached is yes or no"):
        views.answers(where=["cached=maybe"])
    with pytest.raises(UsageError, match="neither more nor less"):
        views.answers(where=["cached>no"])
    with pytest.raises(UsageError, match="build is neither more nor less"):
        views.answers(where=["build>current"])
    with pytest.raises(UsageError, match="build is current, or at least four digits"):
        views.answers(where=["build=newest"])
    with pytest.raises(UsageError, match="created is a time"):
        views.items(where=["created>yesterday"])
    with pytest.raises(UsageError, match="'cat' is no filter"):
        views.failed(where=["cat"])


# --- items and failures --------------------------------------------------------------------------


def test_items_of_a_batch_in_the_order_of_its_input(views: Views) -> None:
    rows = list(views.items("first"))
    assert [(row.row, row.ask, row.job, row.state) for row in rows] == [
        (0, 0, 2, State.DONE),
        (1, 0, 1, State.DONE),
        (1, 1, 3, State.FAILED),
        (2, 0, None, State.FAILED),
        (3, 0, 4, State.QUEUED),
        (4, 0, 1, State.DONE),
    ]
    assert (rows[0].custom_id, rows[0].columns, rows[0].batch) == ("dog", {"shelf": 3}, "first")
    assert [row.answer.text if row.answer else None for row in rows] == [
        "100% dog", "a grey cat", None, None, None, "a grey cat",
    ]  # fmt: skip
    assert (rows[2].error_code, rows[2].error, rows[2].question) == (
        "image_missing",
        "there is no such file",
        "What is it?",
    )
    assert (rows[3].error_code, rows[3].question, rows[3].pictures) == ("row_invalid", None, ())
    assert rows[4].pictures[0].name == "/pictures/n�w\\n.jpg"


def test_all_jobs_without_a_batch(views: Views) -> None:
    rows = list(views.items())
    assert [(row.job, row.batch, row.row) for row in rows] == [(id, None, None) for id in (1, 2, 3, 4, 5)]
    assert [row.state for row in views.items(where=["state=done"])] == [State.DONE, State.DONE]


def test_failed_jobs_newest_first_or_of_a_batch(views: Views) -> None:
    assert [row.job for row in views.failed()] == [5, 3]
    assert [row.job for row in views.failed(code="image_missing")] == [3]
    assert [row.job for row in views.failed(limit=1)] == [5]
    assert [(row.job, row.error_code) for row in views.failed(batch="first")] == [
        (3, "image_missing"),
        (None, "row_invalid"),
    ]
    assert [row.job for row in views.failed(batch="first", code="row_invalid")] == [None]


def test_everything_about_one_job(views: Views) -> None:
    row = views.job(1)
    assert (row.state, row.batches, row.current) == (State.DONE, ("first", "second"), 1)
    assert [answer.id for answer in row.answers] == [3, 1]
    assert row.pictures[0].locator == "file:///pictures/cat.jpg"
    assert row.prompt.system == "Be brief."
    failed = views.job(3)
    assert (failed.error_code, failed.current, failed.answers) == ("image_missing", None, ())
    with pytest.raises(JobUnknown, match="no job 99"):
        views.job(99)
    with pytest.raises(JobUnknown):
        views.job(2**63)


# --- speed ---------------------------------------------------------------------------------------

FIRST = ("SCAN answers", "SEARCH answers USING INTEGER PRIMARY KEY", "SCAN answer_words VIRTUAL TABLE")
"""what a page begins with: newest first as they lie, or as the index of words gives them"""


@pytest.mark.parametrize(
    "asked",
    [{}, {"history": True}, {"where": ["precision=int4"]}, {"where": ["name=animal"]}, {"containing": "cat"}],
)
def test_the_first_page_of_answers_needs_no_sort(engine: sa.Engine, views: Views, asked: dict[str, object]) -> None:
    plans: list[list[str]] = []

    @sa.event.listens_for(engine, "before_cursor_execute")
    def explain(connection: sa.Connection, cursor: object, statement: str, parameters: object, *_: object) -> None:
        newest_first = "ORDER BY answers.id DESC" in statement or "ORDER BY answer_words.rowid DESC" in statement
        if newest_first and not statement.startswith("EXPLAIN"):
            rows = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.append([(row[1], row[3]) for row in rows])

    list(views.answers(limit=20, **asked))  # type: ignore[arg-type]
    (plan,) = plans
    outer = [step for parent, step in plan if parent == 0]
    assert outer[0].startswith(FIRST)
    assert not [step for step in outer if "TEMP B-TREE" in step]
