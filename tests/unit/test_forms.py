from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import forms
from pipeline.errors import InvalidAnswer, SchemaInvalid, UsageError
from pipeline.forms.ebnf import STEP, Ebnf, Spelling
from pipeline.forms.options import FormOptions

PREFIXES = {"kind": "choices", "choices": ["red", "re", "reddest", "Red wine"]}
THING = {
    "type": "object",
    "properties": {"color": {"enum": ["red", "blue"]}, "count": {"type": "integer", "minimum": 1, "maximum": 3}},
    "required": ["color"],
    "additionalProperties": False,
}


def schema(value: Any) -> dict[str, Any]:
    return {"kind": "schema", "schema": value}


def regex(pattern: str) -> dict[str, Any]:
    return {"kind": "regex", "pattern": pattern}


READ = [
    (PREFIXES, "re", "re"),
    (PREFIXES, " Reddest.\n", "reddest"),
    (PREFIXES, "red WINE", "Red wine"),
    ({"kind": "yes_no"}, "Yes.", True),
    ({"kind": "yes_no"}, " no", False),
    ({"kind": "number", "integer": False}, "-3.50", -3.5),
    ({"kind": "number", "integer": False}, "12", 12),
    ({"kind": "number", "integer": True}, "7.", 7),
    (regex(r"^\d{2}-[a-z]+$"), "42-ab", "42-ab"),
    (regex(r"a\s"), " a ", "a "),
    (schema(THING), '{"color": "red", "count": 2}', {"color": "red", "count": 2}),
    (schema(THING), '```json\n{"color": "blue"}\n```', {"color": "blue"}),
    (schema({"type": "string"}), '"two\nlines"', "two\nlines"),
    ({"kind": "choices", "choices": ["می\u200cخواهم", "👩\u200d🚀"]}, "می\u200cخواهم", "می\u200cخواهم"),
    (schema({"$defs": {"a b": {"const": 1}}, "$ref": "#/$defs/a%20b"}), "1", 1),
    (schema({"type": "string", "format": "date"}), '"2026-05-01"', "2026-05-01"),
]


@pytest.mark.parametrize(("form", "text", "value"), READ)
def test_what_an_answer_says(form: dict[str, Any], text: str, value: object) -> None:
    forms.check_form(form)
    assert forms.parsed(form, text) == value
    assert type(forms.parsed(form, text)) is type(value)


def test_the_text_of_an_answer_has_one_spelling() -> None:
    assert forms.read({"kind": "yes_no"}, " YES!").text == "yes"
    assert forms.read(PREFIXES, "Re").text == "re"


@pytest.mark.parametrize(
    ("form", "text", "why"),
    [
        (PREFIXES, "redd", "'redd' is none of red, re, reddest, Red wine"),
        ({"kind": "choices", "choices": ["a", "A"]}, "a.", "is none of"),
        ({"kind": "yes_no"}, "maybe " * 40, r"…' is none of yes, no"),
        ({"kind": "number", "integer": True}, "3.5", "'3.5' is no whole number"),
        ({"kind": "number", "integer": False}, "three", "'three' is no number"),
        ({"kind": "number", "integer": False}, "9" * 5000, "has too many digits"),
        (regex(r"(a|aa)+(b|c)"), "a" * 60 + "!", "takes too long to compare"),
        (schema({"type": "string", "pattern": r"^(a|aa)+(b|c)"}), '"' + "a" * 60 + '!"', "takes too long to compare"),
        (regex("a+"), "aab", r"'aab' does not fit 'a\+'"),
        (schema(THING), "{", "'{' is no JSON"),
        (schema(THING), '{"color": NaN}', "is no JSON"),
        (schema(THING), "[" * 5000, "is no JSON"),
        (schema(THING), '{"color": "green"}', r"does not fit the schema: .* \(color\)"),
        (schema({"type": "string", "format": "date"}), '"in May"', "is not a 'date'"),
    ],
)
def test_another_form_is_said(form: dict[str, Any], text: str, why: str) -> None:
    with pytest.raises(InvalidAnswer, match=why) as error:
        forms.read(form, text)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("form", "why"),
    [
        (None, "there is no form 'None'"),
        ({"kind": "poem"}, "there is no form 'poem'; forms: choices, yes_no"),
        ({"kind": "grammar", "grammar": "root ::= foo"}, "there is no form 'grammar'"),
        ({"kind": "choices", "choices": ["a"]}, "2 to 2,000 choices, not 1"),
        ({"kind": "choices", "choices": "ab"}, "a list of texts"),
        ({"kind": "choices", "choices": ["a", ""]}, "'' is no choice"),
        ({"kind": "choices", "choices": ["a", "b\nc"]}, "is no choice"),
        ({"kind": "choices", "choices": ["a", "b", "a"]}, "'a' is there twice"),
        ({"kind": "number", "integer": "yes"}, "must be true or false"),
        (regex(""), "must be given"),
        (regex("(["), "is no regular expression: unterminated"),
        (regex("[[a]--b]"), "is no regular expression: Possible"),
        (regex(r"(a)\1"), "refers to a group"),
        (regex("(?=a)b"), "looks ahead"),
        (regex("(?<!a)b"), "looks ahead or behind"),
        (regex(r"\bred\b"), "where a word or the text begins"),
        (regex("a^b"), "where a word or the text begins"),
        (regex("(?i)red"), "has flags"),
        (regex("(?i:red)"), "has flags inside"),
        (regex(r"[^\d\D]"), "no character fits"),
        (regex("a{9999}"), "9,999 times"),
        (regex("((a{0,50}){0,50}){0,50}"), "counts within"),
        (regex("(" * 3000 + ")" * 3000), "is no regular expression"),
        (schema([]), "is an object"),
        (schema({"type": "nonsense"}), "this is no JSON schema: .* at type"),
        (schema({"properties": {"a": {"minimum": "x"}}}), "at properties/a/minimum"),
        (schema({"enum": []}), "is empty|no JSON schema"),
        (schema({"const": "\ud800"}), "half a character"),
        (schema({"patternProperties": {"a": {}}}), "patternProperties"),
        (schema({"$ref": "http://example.org/x.json"}), "only #/... within itself"),
        (schema({"$ref": "#/$defs/gone"}), "where nothing is"),
        (schema({"$ref": "#"}), "'#' is nothing but itself"),
        (schema({"anyOf": [{"type": "null"}, {"$ref": "#"}]}), "'#' is nothing but itself"),
        (
            schema({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
            "nothing but itself",
        ),
        (schema({"allOf": [False]}), "nothing fits"),
        (schema({"type": "integer", "minimum": 3, "maximum": 1}), "between 3 and 1"),
        (schema({"type": "string", "minLength": 5, "maxLength": 2}), "minLength 5 is more"),
        (schema({"type": "string", "pattern": "(?=a)"}), "looks ahead"),
        (schema({"type": "object", "properties": {str(n): {} for n in range(3000)}}), "too large"),
        ({"kind": ["number"]}, "there is no form"),
        ({"kind": "number", "minimum": 0}, "'minimum' says nothing of the form number; keys: kind, integer"),
        ({"kind": "choices", "choices": ["a", "\u2028b"]}, "is no choice"),
        (schema({"type": "integer", "minimum": float("inf")}), "what JSON cannot"),
        (schema({"type": "integer", "maximum": float("nan")}), "what JSON cannot"),
        (schema({"$schema": 5}), "is no text"),
        (schema({"$schema": "http://json-schema.org/draft-03/schema#", "required": True}), "of draft 3"),
        (schema({"$schema": "http://json-schema.org/draft-04/schema#", "$ref": 5}), "refers to '5'"),
        (schema({"type": "string", "not": {"$ref": "http://example.org/x.json"}}), "is not within itself"),
        (schema({"type": "string", "if": {"$ref": "#/$defs/gone"}}), "'#/\\$defs/gone', which is not within itself"),
        (schema({"$dynamicRef": "#gone"}), "'#gone', which is not within itself"),
        (schema({"prefixItems": [{}], "items": False, "minItems": 2}), "is false: nothing fits it"),
    ],
)
def test_what_no_answer_can_be_held_to_is_refused(form: Any, why: str) -> None:
    with pytest.raises(SchemaInvalid, match=why):
        forms.check_form(form)


# --- grammars ------------------------------------------------------------------------------------------


def test_a_choice_may_begin_with_a_blank_and_a_capital() -> None:
    assert forms.grammar({"kind": "yes_no"}) == 'root ::= (" ")? ("yes" | "no" | "Yes" | "No")'
    assert forms.grammar({"kind": "choices", "choices": ["a", "A"]}) == 'root ::= (" ")? ("a" | "A")'


def test_a_vocabulary_may_spell_spaces_in_its_own_way() -> None:
    top_left = {"kind": "choices", "choices": ["top left", "right"]}
    blank = r"[\u0020\u2581]"
    assert forms.grammar(top_left, Spelling("▁")).startswith(f"root ::= ({blank})? (")
    assert f'("top" {blank} "left")' in forms.grammar(top_left, Spelling("▁"))
    assert r"\u2581" in forms.grammar(regex(r"[ a]"), Spelling("▁"))
    assert r"\u2581" not in forms.grammar(regex(r"[a]"), Spelling())


def test_no_repeat_is_longer_than_xgrammar_takes_quickly() -> None:
    written = forms.grammar(schema({"type": "string", "maxLength": 4_321}))
    assert all(int(bound) <= STEP for bound in re.findall(r"(\d+)\}", written))
    assert "*" in forms.grammar(schema({"type": "string", "maxLength": 10**9}))


def test_signs_mean_nothing_but_themselves() -> None:
    assert Ebnf().literal('a"\\[ж') == r'"a\"\\[ж"'
    assert Ebnf().literal("Mädchen") == r'("M" [\u00e4] "dchen")'
    assert Ebnf().literal("\x7f0") == r'([\u007f] "0")'
    assert Ebnf().chars([(0x5D, 0x5D), (0x61, 0x63), (0x1F600, 0x1F600)]) == r"[\u005d\u0061-\u0063\U0001f600]"


def test_properties_stay_in_their_order_and_may_be_left_out() -> None:
    written = forms.grammar(schema({"properties": {"b": {"const": 1}, "a": {"const": 2}}, "required": ["a"]}))
    assert written.index(r"\"b") < written.index(r"\"a")


def test_a_lone_whole_number_is_held_to_its_bounds() -> None:
    written = forms.grammar(schema({"properties": {"n": {"type": "integer", "minimum": 2, "maximum": 3}}}))
    assert "\\u0030-\\u0039" not in written
    assert written.count('"2" | "3"') == 2


def test_items_in_their_places_are_as_many_as_there_must_be() -> None:
    old = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "items": [{"const": 1}],
        "additionalItems": {"const": 2},
    }
    new = {"prefixItems": [{"const": 1}], "items": {"const": 2}}
    for one in (old, new):
        assert '("[" ("1" comma "2" comma "2") "]")' in forms.grammar(schema({**one, "minItems": 3}))
        assert '("[" "1" "]")' in forms.grammar(schema(one))
        assert '("[" "" "]")' in forms.grammar(schema({**one, "maxItems": 0}))
        forms.check_form(schema({**one, "minItems": 3}))


# --- options ------------------------------------------------------------------------------------------

NONE = FormOptions(choices=(), yes_no=False, number=False, regex=None, schema=None)


def options(**given: Any) -> FormOptions:
    return FormOptions(**{**NONE.__dict__, **given})


def test_options_become_forms(tmp_path: Path) -> None:
    (tmp_path / "thing.json").write_text(json.dumps(THING), "utf-8")
    assert NONE.form() is None
    assert options(choices=("red, blue", "green")).form() == {"kind": "choices", "choices": ["red", "blue", "green"]}
    assert options(yes_no=True).form() == {"kind": "yes_no"}
    assert options(number=True).form() == {"kind": "number", "integer": False}
    assert options(regex="a+").form() == regex("a+")
    assert options(schema=str(tmp_path / "thing.json")).form() == schema(THING)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"yes_no": True, "number": True}, "--yes-no and --number exclude each other"),
        ({"choices": ("red",)}, "--choices: the answer form is not valid: there must be 2"),
        ({"choices": ("red,,blue",)}, "'' is no choice"),
        ({"regex": "("}, "--regex: .*no regular expression"),
        ({"schema": "gone.json"}, "--schema gone.json: no such file"),
    ],
)
def test_impossible_options_are_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        options(**given).form()


def test_a_file_that_is_no_json(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(UsageError, match="this is no JSON"):
        options(schema=str(tmp_path / "bad.json")).form()


@given(
    st.lists(st.text(st.characters(categories=("L", "N")), min_size=1, max_size=6), min_size=2, max_size=6, unique=True)
)
def test_every_choice_reads_as_itself(choices: list[str]) -> None:
    form = {"kind": "choices", "choices": choices}
    forms.check_form(form)
    assert [forms.parsed(form, choice) for choice in choices] == choices


# --- lone values ----------------------------------------------------------------------------------------

COLOR = schema({"type": "object", "properties": {"color": {"enum": ["red", "blue"]}}, "required": ["color"]})


@pytest.mark.parametrize(
    ("form", "text", "value"),
    [
        (COLOR, "Red.", {"color": "red"}),
        (COLOR, '{"color": "blue"}', {"color": "blue"}),
        (schema({"enum": ["red", "blue"]}), "blue", "blue"),
        (schema({"type": "object", "properties": {"there": {"type": "boolean"}}}), "yes", {"there": True}),
        (schema({"type": "object", "properties": {"many": {"type": "integer", "maximum": 5}}}), "3", {"many": 3}),
    ],
)
def test_a_lone_value_may_be_said_alone(form: dict[str, Any], text: str, value: object) -> None:
    forms.check_form(form)
    found = forms.read(form, text)
    assert found.value == json.loads(found.text) == value


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (COLOR, "green"),
        (schema({"type": "object", "properties": {"many": {"type": "integer", "maximum": 5}}}), "7"),
        (schema({"type": "object", "properties": {"a": {"enum": ["x"]}, "b": {"enum": ["x"]}}}), "x"),
        (schema({"type": "object", "properties": {"a": {"enum": ["x"]}}, "required": ["a", "b"]}), "x"),
        (schema({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}), "x"),
    ],
)
def test_what_is_not_alone_is_said_in_full(form: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidAnswer):
        forms.read(form, text)
