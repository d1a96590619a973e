from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import RowInvalid, UsageError
from pipeline.locators import Picture, locate
from pipeline.questions.template import Template, Values
from pipeline.sources.rows import Row

FIELD = st.text(min_size=1).filter(lambda name: not set(name) & set("{}") and name == name.strip())


def row(locator: str = "file:///photos/cats/tom.jpg", **columns: Any) -> Row:
    return Row(pictures=(Picture(locator),), columns=columns or None)


def fill(text: str, row_: Row) -> str:
    return Template.parse(text).fill(Values(row_))


# --- writing -----------------------------------------------------------------------------------


def test_fields_are_filled_in_and_braces_are_written_twice() -> None:
    assert fill("{stem} of {name} in {directory}: {{a}} }}{{", row()) == "tom of tom.jpg in cats: {a} }{"
    assert fill("{{{name}}}", row()) == "{tom.jpg}"


def test_columns_are_fields_whatever_they_are_called() -> None:
    columns = {"unit price": 3.5, "Größe": "groß", "a.b[0]": "x", "sizes": [1, "ä"], "sold": True, "n": 0}
    text = "{unit price} { Größe } {a.b[0]} {sizes} {sold} {n}"
    assert fill(text, row(**columns)) == '3.5 groß x [1, "ä"] true 0'


def test_a_column_goes_before_a_part_of_the_path() -> None:
    assert fill("{name}", row(name="Tom")) == "Tom"


def test_nothing_but_names_is_understood() -> None:
    for text in ("{name.__class__}", "{name[0]}", "{name!r}", "{name:>10}", "{0}"):
        with pytest.raises(RowInvalid):
            fill(text, row(other="x"))
    assert fill("{a}", row(a="{b} {{", b="secret")) == "{b} {{"


@pytest.mark.parametrize(
    ("text", "said"),
    [("a { b", "'a { b' stands alone"), ("}", "stands alone"), ("{}", "names no field"), ("{{ {  }", "names no field")],
)
def test_a_brace_that_is_none_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Template.parse(text)


@given(st.text())
def test_any_text_parses_or_is_refused_with_a_sentence(text: str) -> None:
    try:
        made = Template.parse(text)
    except UsageError as error:
        assert "brace" in str(error)
    else:
        assert Template.parse(made.source) == made


@given(st.text())
def test_a_text_without_braces_means_itself(text: str) -> None:
    plain = text.replace("{", "").replace("}", "")
    assert Template.parse(plain) == Template.literal(plain)
    assert Template.literal(text).fill(Values(row())) == text
    assert Template.parse(Template.literal(text).source) == Template.literal(text)


@given(
    st.dictionaries(FIELD, st.text(), min_size=1, max_size=4), st.text().filter(lambda text: not set(text) & set("{}"))
)
def test_whatever_columns_hold_is_put_in_as_it_is(columns: dict[str, str], between: str) -> None:
    text = between.join(f"{{{name}}}" for name in columns)
    assert fill(text, Row(pictures=(), columns=columns)) == between.join(columns.values())


# --- rows --------------------------------------------------------------------------------------


def test_a_row_that_lacks_a_column_is_named_with_it() -> None:
    with pytest.raises(RowInvalid, match="it has no column 'price'"):
        fill("{price}", row(weight=1))
    with pytest.raises(RowInvalid, match="it has nothing in the column 'price'"):
        fill("{price}", row(price=None))
    assert fill("<{price}>", row(price="")) == "<>"


@pytest.mark.parametrize(
    ("locator", "parts"),
    [
        ("media:a/b/c.tar.gz", "c.tar.gz c.tar b"),
        ("media:c", "c c "),
        (locate("/x/1 ü#2.png", None), "1 ü#2.png 1 ü#2 x"),
        (locate("/x/set.zip", None, "in#side/p.jpg"), "p.jpg p in#side"),
        (locate("/x/set.zip", None, "p.jpg"), "p.jpg p set.zip"),
        ("https://example.org/a%20b/c.jpg?size=3#top", "c.jpg c a b"),
    ],
)
def test_the_parts_of_a_picture_s_place(locator: str, parts: str) -> None:
    assert fill("{name} {stem} {directory}", row(locator)) == parts


def test_names_that_are_no_text_can_be_asked_about() -> None:
    assert fill("{name}", row(locate(b"/x/\xff\n.jpg".decode("utf-8", "surrogateescape"), None))) == "\ufffd\\n.jpg"
