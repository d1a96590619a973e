from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.words import LONGEST, MOST, Phrase, Search, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A red-square, isn't it? No_5", ["a", "red", "square", "isn", "t", "it", "no", "5"]),
        ("Café CAFÉ Straße ÅNGSTRÖM", ["cafe", "cafe", "strasse", "angstrom"]),
        ("Việt Nam, Ελλάδα, Ёлка", ["viet", "nam", "ελλαδα", "елка"]),
        ("x² ½ № ﬁre", ["x2", "1", "2", "no", "fire"]),
        ("猫がテーブルに。", ["猫", "が", "テ", "ー", "ブ", "ル", "に"]),
        ("一只cat猫", ["一", "只", "cat", "猫"]),
        ("고양이 두 마리", ["고양이", "두", "마리"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("แมว", ["แ", "ม", "ว"]),
        ("שָׁלוֹם مُحَمَّد", ["שלום", "محمد"]),
        ("a 🐈\u200d⬛ cat", ["a", "🐈", "⬛", "cat"]),
        ("\0 \ud800 '\":*()^ -", []),
    ],
)
def test_words_of_a_text(text: str, found: list[str]) -> None:
    assert words(text) == found


def test_what_is_too_long_is_cut() -> None:
    assert words("x" * 1000) == ["x" * LONGEST]
    assert len(words("ab " * MOST)) <= MOST // 3 + 1
    assert sum(map(len, words("\ufdfa" * MOST))) <= MOST


@pytest.mark.parametrize(
    ("typed", "phrases"),
    [
        ("red square", (Phrase(("red",)), Phrase(("square",)))),
        ('"Red square" tab*', (Phrase(("red", "square")), Phrase(("tab",), open=True))),
        ('"red squ"* x', (Phrase(("red", "squ"), open=True), Phrase(("x",)))),
        ('"never closed', (Phrase(("never", "closed")),)),
        ("red-square", (Phrase(("red", "square")),)),
        ("猫が", (Phrase(("猫", "が")),)),
        ("NOT a OR b AND (c) NEAR/2 words:d ^e", None),
        ('"" * " ', ()),
        ("", ()),
    ],
)
def test_what_a_person_types(typed: str, phrases: tuple[Phrase, ...] | None) -> None:
    found = Search.parse(typed).phrases
    if phrases is None:
        assert [word for phrase in found for word in phrase.words] == words(typed)
    else:
        assert found == phrases


@given(st.text())
def test_a_text_is_found_by_itself_and_by_each_of_its_words(text: str) -> None:
    said = words(text)
    assert Search((Phrase(tuple(said)),)).fits(said) if said else True
    for word in said:
        assert Search.parse(f'"{word}"').fits(said)
        assert Search.parse(f"{word}*").fits(said)


@given(st.text())
def test_words_are_letters_and_digits(text: str) -> None:
    for word in words(text):
        assert word
        assert not set(word) & set(" '\"\\:*&|!()<>\0")
