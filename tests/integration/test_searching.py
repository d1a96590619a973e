"""Searches in both databases: what they find, and that they keep up."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import migrations
from pipeline import database
from pipeline import tables as t
from pipeline.jobs import CacheHit, Item
from pipeline.store import Store, removal
from pipeline.store.reviews import Review, Verdict
from pipeline.words import Search, words
from tests.store_world import READ, World, answer, spec

KEY = b"k" * 16
SAID = (
    "A red square stands on a blue table.",
    "a RED, red fox; no square",
    "Café au lait, très chaud",
    "猫がテーブルに立っています",
    "一只红色的猫",
    "แมวสีแดง",
    "isn't it 3.5 m? see foo.jpg, http://example.org/a_b",
    "'quoted' \\ back:slash & pipe | not ! (x) <-> *star* \"double\"",
    "🐈 and 🐕",
    "x" * 500,
    "",
    "one two one two three",
)


def tell(world: World, *texts: str) -> list[int]:
    """Answers with these texts, by their ids."""
    world.submit(*(f"{number}.jpg" for number in range(len(texts))))
    claims = world.claim()
    world.finish(*(answer(claim, text) for claim, text in zip(claims, texts, strict=True)))
    return [row.id for row in world.answers()]


def found(store: Store, text: str, **asked: object) -> list[str]:
    return [row.text for row in store.views.answers(text, **asked)]  # type: ignore[arg-type]


def test_words_phrases_and_beginnings(world: World, store: Store) -> None:
    tell(world, *SAID)
    red, fox, cafe, cat_ja, cat_zh, cat_th, odd, quoted, pets, *_ = SAID
    assert found(store, "red") == [fox, red]
    assert found(store, "SQUARE red") == [fox, red]
    assert found(store, '"red square"') == [red]
    assert found(store, "squ* tab*") == [red]
    assert found(store, '"a blue t"*') == [red]
    assert found(store, "squ") == []
    assert found(store, "cafe tres") == found(store, "CAFÉ") == [cafe]
    assert found(store, "テーブル") == [cat_ja]
    assert found(store, "猫") == [cat_zh, cat_ja]
    assert found(store, "红色") == [cat_zh]
    assert found(store, "สีแดง") == [cat_th]
    assert found(store, "foo.jpg") == found(store, "isn't 3.5") == [odd]
    assert found(store, "http://example.org/a_b") == [odd]
    assert found(store, "back:slash") == found(store, "'quoted'") == found(store, '"double') == [quoted]
    assert found(store, "🐕") == [pets]
    assert found(store, "x" * 400) == ["x" * 500]
    assert found(store, '"two three"') == ["one two one two three"]
    assert found(store, "red", limit=1) == [fox]
    assert found(store, "red", where=["job=1"]) == [red]
    assert found(store, "red", where=["job=3"]) == found(store, "red", model="other") == []


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    typed=st.one_of(
        st.text(),
        st.lists(
            st.sampled_from(['"', "*", " ", "red", "squ", "fox", "猫", "が", "'", ":", "-", "AND", "NOT", "(", "\\"])
        ).map("".join),
    )
)
def test_any_search_finds_what_its_words_say(world: World, store: Store, typed: str) -> None:
    if not world.answers():
        tell(world, *SAID)
    search = Search.parse(typed)
    fits = [text for text in reversed(SAID) if search.phrases and search.fits(words(text))]
    assert found(store, typed) == fits


def test_by_the_name_of_a_question(world: World, store: Store) -> None:
    def ask(batch: str, *names: str | None) -> None:
        id = world.open(batch)
        asked = [Item(spec=spec(f"{row}.jpg", "What?"), row=row, name=name) for row, name in enumerate(names)]
        store.add(id, asked)
        store.seal(id, len(asked))

    ask("first", "kind", "kind", None)
    world.finish(*(answer(claim, f"a {claim.id}") for claim in world.claim()))
    ask("second", "color", "kind", "kind")
    assert found(store, "a", where=["name=kind"]) == ["a 3", "a 2", "a 1"]
    assert found(store, "a", where=["name=color"]) == found(store, "a", where=["name=color"], batch="second") == ["a 1"]
    assert found(store, "a", where=["name=color"], batch="first") == []
    assert found(store, "a", where=["name!=kind"], batch="first") == ["a 3"]
    assert [row.row for row in store.views.items("second", where=["name!=kind"])] == [0]
    assert [row.job for row in store.views.items(where=["name=color"])] == [1]


def test_pages_go_on_behind_the_last(world: World, store: Store) -> None:
    ids = tell(world, *(f"number {number} red" for number in range(30)))
    first = [row.id for row in store.views.answers("red", limit=20)]
    assert first == sorted(ids, reverse=True)[:20]
    assert [row.id for row in store.views.answers("red", after=first[-1])] == sorted(ids, reverse=True)[20:]


def test_a_correction_is_found_in_place_of_the_text_also_by_copies(world: World, store: Store) -> None:
    world.submit("a.jpg", "b.jpg", "c.jpg")
    a, b, c = world.claim()
    world.finish(answer(a, "a dog", content_key=KEY))
    world.finish(CacheHit(job=b.id, token=b.token, answer=1, content_key=KEY, pictures=(READ,)))
    assert found(store, "dog") == ["a dog", "a dog"]
    store.review([Review(answer=2, verdict=Verdict.CORRECTED, text="a Fuchs")])
    assert found(store, "dog") == []
    world.finish(CacheHit(job=c.id, token=c.token, answer=2, content_key=KEY, pictures=(READ,)))
    assert found(store, "fuchs") == ["a Fuchs"] * 3


def test_what_is_deleted_is_found_no_more(world: World, store: Store) -> None:
    tell(world, "a secretword", "another")
    with store._writing() as (connection, _):
        connection.execute(t.batch_items.delete().where(t.batch_items.c.job_id == 1))
        removal.remove(connection, [1])
        assert connection.execute(sa.select(t.answer_words.c.rowid)).scalars().all() == [2]
    assert found(store, "secretword") == []


def test_the_migration_indexes_what_is_there(empty_url: str) -> None:
    engine = database.connect(empty_url)
    Path(str(engine.url.database)).parent.mkdir(parents=True, exist_ok=True)
    with engine.begin() as connection:
        command.upgrade(migrations.config(connection), "0002")
        for statement in (PROMPT, JOB, BUILD, RUNTIME):
            connection.execute(sa.text(statement), {"digest": b"1"})
        for id, text, origin in ((1, "a Dog", "NULL"), (2, "a dog", "1"), (3, "ein Café", "NULL")):
            given = f"({id}, 1, {id}, 1, 1, '{text}', 'stop', 1, 1, 0, 0, 0, 0, 0, {origin}, 1)"
            connection.exec_driver_sql(f"INSERT INTO answers ({ANSWER}) VALUES {given}")
        review = "(1, 1, 'corrected', 'a fox', 1)"
        connection.exec_driver_sql(f"INSERT INTO reviews (id, answer_id, verdict, text, created) VALUES {review}")
    database.upgrade(empty_url)
    store = Store(engine)
    assert [row.id for row in store.views.answers("cafe", history=True)] == [3]
    assert [row.id for row in store.views.answers("fox", history=True)] == [2, 1]
    assert [row.id for row in store.views.answers("dog", history=True)] == []
    store.close()


PROMPT = (
    "INSERT INTO prompts (id, digest, messages, parameters, question, created)"
    """ VALUES (1, :digest, '[["user", "What?"]]', '{}', 'What?', 1)"""
)
JOB = (
    "INSERT INTO jobs (id, job_key, prompt_id, model, lane, state, claim_token, created, queued, updated)"
    " VALUES (1, :digest, 1, 'm', 1, 'done', 3, 1, 1, 1)"
)
BUILD = (
    "INSERT INTO builds (id, digest, family, precision, path, stamp, created)"
    " VALUES (1, :digest, 'fake', 'int4', '/m', 's', 1)"
)
RUNTIME = (
    "INSERT INTO runtimes (id, digest, engine, device, device_name, versions, options, created)"
    " VALUES (1, :digest, 'fake', 'CPU', 'CPU', '{}', '{}', 1)"
)
ANSWER = (
    "id, job_id, claim_token, build_id, runtime_id, text, finish_reason, prompt_tokens, answer_tokens,"
    " queue_s, read_s, vision_s, first_token_s, total_s, cached_from, created"
)
