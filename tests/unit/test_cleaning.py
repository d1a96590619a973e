from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline import tables
from pipeline.cleaning import Cleaning, cleaned, cut
from pipeline.store.rows import ItemRow, PromptRow, ReviewRow
from tests import seeding


@pytest.fixture
def item() -> Iterator[ItemRow]:
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    tables.metadata.create_all(engine)
    with engine.begin() as connection:
        seeding.world(connection)
    yield next(iter(seeding.views(engine).items("first")))
    engine.dispose()


SAID = {
    "The image shows a red bus.": "A red bus.",
    "This image depicts two cats on a sofa. They sleep.": "Two cats on a sofa. They sleep.",
    "This is a picture of a church.": "A church.",
    "The image shows: a lake": "A lake",
    "In this image, we can see a dog.": "A dog.",
    "In the picture there is a dog.": "There is a dog.",
    "A photo of the Eiffel Tower": "The Eiffel Tower",
    "Sure! Here is a short caption for the image: a lake.": "A lake.",
    "<think>It is a cat.\nOr a dog?</think>\n\nA cat.": "A cat.",
    "It may be a dog. </think> A cat.": "A cat.",
    "```text\nA cat.\n```": "A cat.",
    '"A cat."': "A cat.",
    "“The photo captures **a cat**.”": "**a cat**.".capitalize(),
    "**A cat**": "A cat",
    "Caption: “In this photo, you see élan.”": "Élan.",
    '"Stop" and "Go" signs': '"Stop" and "Go" signs',
    "The image shows that nobody is there.": "The image shows that nobody is there.",
    "The scene is quiet.": "The scene is quiet.",
    "A red bus.": "A red bus.",
    "a red bus": "a red bus",
    "<think>All of it": "<think>All of it",
    '""': '""',
    "The image shows": "The image shows",
}


@pytest.mark.parametrize("said", SAID)
def test_what_models_put_around_captions_goes(said: str) -> None:
    assert cleaned(said) == SAID[said]


BITS = ("<think>", "</think>", "```", "\n", '"', "“", "”", "**", "ß", "a cat", ".", " ", "'", "of")
PARTS = st.sampled_from([*SAID, *BITS, "The image shows ", "this is a photo of ", "In this image, we can see "])
TEXTS = st.one_of(st.text(), st.lists(PARTS, max_size=12).map("".join))


@given(TEXTS)
@example("<think></think>")
@example("'\"'\"'")
def test_cleaning_again_changes_nothing_and_leaves_something(text: str) -> None:
    once = cleaned(text)
    assert cleaned(once) == once
    assert bool(once.strip()) == bool(text.strip())
    assert len(once) <= len(text)


@given(TEXTS, st.integers(1, 8), st.one_of(st.none(), st.text(min_size=1, max_size=8)))
def test_the_options_together_change_nothing_the_second_time(text: str, words: int, start: str | None) -> None:
    wish = Cleaning(clean=True, start_with=start, max_words=words)
    once = wish.text(text, clean=True)
    assert wish.text(once, clean=False) == once
    assert once.startswith(start or "")
    assert len(once.removeprefix(start or "").split()) <= words


def test_a_cut_is_made_where_a_sentence_or_a_word_ends() -> None:
    text = "A dog runs. It is brown, and happy today."
    assert cut(text, 99) == text
    assert cut(text, 5) == "A dog runs."
    assert cut(text, 6) == "A dog runs. It is brown"
    assert cut("He said (quietly", 2) == "He said"


def test_a_trigger_is_put_in_front_once() -> None:
    wish = Cleaning(start_with="sks dog,")
    assert wish.text("A dog.", clean=False) == "sks dog, A dog."
    assert wish.text("sks dog, A dog.", clean=False) == "sks dog, A dog."


def test_only_captions_are_cleaned_and_what_the_model_said_stays(item: ItemRow) -> None:
    assert item.answer
    wish, bus = Cleaning(clean=True, start_with="x", max_words=2), "The image shows a red bus."
    said = replace(item.answer, text=bus, model_text=bus, review=None)
    assert (wish.answer(said).text, wish.answer(said).model_text) == ("x A red", bus)
    formed = replace(said, prompt=PromptRow(system=None, examples=(), parameters={}, form={"kind": "yes_no"}))
    assert wish.answer(formed) == formed
    corrected = replace(said, review=ReviewRow(verdict="wrong", text=bus, reviewer=None, created=0.0))
    assert Cleaning(clean=True).answer(corrected).text == bus
    assert wish.item(replace(item, answer=None)).answer is None
    found = wish.item(replace(item, answer=said)).answer
    assert found and found.text == "x A red"
