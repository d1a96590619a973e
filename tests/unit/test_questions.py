from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from pipeline.conditions import Condition
from pipeline.errors import PixmillError, QuestionSetUnknown, QuestionsUnfit, RowInvalid, UsageError
from pipeline.locators import Picture
from pipeline.prompts import Ask, Defaults, Prompt, Sampling
from pipeline.questions import Questions, question_options, sets
from pipeline.questions.file import QuestionSet, parse, read
from pipeline.questions.graph import Cycle, ordered
from pipeline.sources.rows import BadRow, Row
from pipeline.submit import ask

DEFAULTS = Defaults(caption="Describe it.", max_tokens=50)
CAT = (Picture("media:animals/cat.jpg"),)


def of(text: str, name: str = "questions.yaml") -> QuestionSet:
    return parse(name, text)


def asked(questions: Questions, row: Row | None = None, **more: Any) -> list[Ask]:
    return list(questions.asking(DEFAULTS, **more)(row or Row(pictures=CAT)))


def texts(asks: list[Ask]) -> list[str]:
    return [ask.prompt.question for ask in asks]


def given_by(*args: str) -> Questions:
    """What a command line says."""
    seen: list[Questions] = []

    @click.command()
    @question_options
    def command(questions: Questions) -> None:
        seen.append(questions)

    ended = CliRunner().invoke(command, args, catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return seen[0]


# --- options -----------------------------------------------------------------------------------


def test_without_a_question_a_caption_is_asked_as_suits_the_model() -> None:
    (one,) = asked(given_by())
    assert one == Ask(prompt=Prompt.ask("Describe it.", sampling=Sampling(max_tokens=50)))
    assert not given_by().given
    assert not given_by("--seed", "0").asked
    assert given_by("--seed", "0").given


def test_questions_of_the_command_line_mean_what_they_say() -> None:
    questions = given_by("-q", 'Answer as {"a": 1}', "-q", "What?", "-q", "What?", "-s", "Be {brief}", "--seed", "7")
    first, second = asked(questions)
    assert first.prompt.messages == (("system", "Be {brief}"), ("user", 'Answer as {"a": 1}'))
    assert second.prompt.sampling == Sampling(max_tokens=50, seed=7)


def test_a_template_of_the_command_line_is_filled_in_by_each_row() -> None:
    questions = given_by("-q", "What?", "-t", "Is this a {directory}?", "-t", "{{{stem}}} {price}?")
    row = Row(pictures=CAT, columns={"price": 3})
    assert texts(asked(questions, row)) == ["What?", "Is this a animals?", "{cat} 3?"]
    with pytest.raises(RowInvalid, match="it has no column 'price'"):
        asked(questions, Row(pictures=CAT, columns={"Price": 3}))
    with pytest.raises(UsageError, match="stands alone"):
        given_by("-t", "{stem")


@pytest.mark.parametrize("option", ["-q", "--question", "-t"])
def test_an_empty_question_is_not_asked(option: str) -> None:
    with pytest.raises(UsageError, match=r"^--(question|template) is empty"):
        given_by("-q", "What?", option, " ")


def test_the_same_values_make_the_same_prompt() -> None:
    asking = given_by("-t", "In {directory}?").asking(DEFAULTS)
    first, second = (asking(Row(pictures=(Picture(f"media:a/{n}.jpg"),))) for n in range(2))
    assert first[0] is second[0]


def test_questions_without_fields_are_made_once_for_all_rows() -> None:
    asking = given_by("-q", "What?", "--questions", "ocr").asking(DEFAULTS)
    assert asking(Row(pictures=CAT)) is asking(Row(pictures=()))


def test_pictures_alone_have_no_columns_and_that_is_said_at_once() -> None:
    questions = given_by("-t", "{name} {price} {color}?")
    with pytest.raises(UsageError, match=r"use \{color\}, \{price\}, but pictures alone have only .* --manifest"):
        questions.checked(iter([Row(pictures=CAT)]))
    rows = [Row(pictures=CAT, columns={"price": 1}), BadRow(message="no"), Row(pictures=CAT)]
    assert list(questions.checked(iter(rows))) == rows
    assert list(questions.checked(iter([]))) == []
    assert list(given_by("-t", "{name}?").checked(iter([Row(pictures=CAT)]))) == [Row(pictures=CAT)]


def test_a_row_that_lacks_a_column_stays_in_the_batch_with_its_reason() -> None:
    rows = [Row(pictures=CAT, columns={"price": 1}), Row(pictures=CAT, columns={}, custom_id="b")]
    good, bad = ask(rows, given_by("-t", "{price}?").asking(DEFAULTS), "m")
    assert good.row == 0
    assert (bad.row, bad.custom_id) == (1, "b")
    assert "it has no column 'price'" in bad.message  # type: ignore[union-attr]


# --- what rows bring -----------------------------------------------------------------------------


def test_a_row_s_own_questions_go_before_the_command_s_and_mean_what_they_say() -> None:
    questions = given_by("-t", "{name}?", "-s", "Be brief", "--max-tokens", "9")
    row = Row(pictures=CAT, questions=("Is {this} a cat?",), system="Be kind")
    (one,) = asked(questions, row, form={"kind": "yes_no"})
    assert one.prompt.messages == (("system", "Be kind"), ("user", "Is {this} a cat?"))
    assert (one.prompt.sampling.max_tokens, one.prompt.form) == (9, {"kind": "yes_no"})
    (one,) = asked(questions, Row(pictures=CAT, questions=("Why?",)))
    assert one.prompt.system == "Be brief"


def test_a_row_s_own_system_prompt_is_put_before_the_command_s_questions() -> None:
    for questions in (given_by("-q", "What?"), given_by("-t", "{name}?"), given_by("--questions", "ocr")):
        assert {one.prompt.system for one in asked(questions, Row(pictures=CAT, system="Be {kind}"))} == {"Be {kind}"}
        assert {one.prompt.system for one in asked(questions)} == {None}


def test_complete_prompts_of_a_row_are_left_alone() -> None:
    prompt = Prompt.ask("Why?")
    assert asked(given_by("-t", "{none}"), Row(pictures=CAT, prompts=(prompt,))) == [Ask(prompt=prompt)]


# --- files -------------------------------------------------------------------------------------

SHOP = """
description: Shops
system: You look at shops near {directory}.
max_tokens: 20
questions:
  - name: sign
    text: What does the sign of {name} say?
    when: {kind: outside}
    max_tokens: 99
    system: Read.
  - name: kind
    text: Outside or inside?
    form: {kind: choices, choices: [outside, inside]}
    examples:
      - {question: "A street {x}", answer: outside}
      - {question: A shelf, answer: inside}
    temperature: 0.5
    seed: 3
  - {name: open, text: Is it open, form: yes_no, when: {kind: [outside, Inside], sign: {contains: [open, hours]}}}
"""


def test_a_file_says_what_is_asked_and_how() -> None:
    kind, sign, open_ = asked(Questions(file=of(SHOP)))
    assert (kind.name, sign.name, open_.name) == ("kind", "sign", "open")
    shown = (("user", "A street {x}"), ("assistant", "outside"), ("user", "A shelf"), ("assistant", "inside"))
    system = ("system", "You look at shops near animals.")
    assert kind.prompt.messages == (system, *shown, ("user", "Outside or inside?"))
    assert kind.prompt.sampling == Sampling(max_tokens=20, temperature=0.5, seed=3)
    assert kind.prompt.form == {"kind": "choices", "choices": ["outside", "inside"]}
    assert sign.prompt.messages == (("system", "Read."), ("user", "What does the sign of cat.jpg say?"))
    assert sign.prompt.sampling == Sampling(max_tokens=99)
    assert open_.prompt.form == {"kind": "yes_no"}


def test_conditions_name_the_place_of_an_earlier_question() -> None:
    kind, sign, open_ = asked(Questions(question=("First?",), file=of(SHOP)))[1:]
    assert kind.when == ()
    assert sign.when == (Condition(ask=1, values=("outside",)),)
    assert open_.when == (
        Condition(ask=1, values=("outside", "Inside")),
        Condition(ask=2, values=("open", "hours"), contains=True),
    )


def test_the_command_goes_before_what_the_file_says_of_all_and_behind_what_it_says_of_one() -> None:
    questions = Questions(file=of(SHOP), system="Look.", max_tokens=7, temperature=0.0)
    kind, sign, open_ = asked(questions, form={"kind": "number"})
    assert [one.prompt.system for one in (kind, sign, open_)] == ["Look.", "Read.", "Look."]
    assert [one.prompt.sampling.max_tokens for one in (kind, sign, open_)] == [7, 99, 7]
    assert (kind.prompt.sampling.temperature, sign.prompt.form) == (0.5, {"kind": "number"})
    assert open_.prompt.form == {"kind": "yes_no"}


def test_a_field_in_what_a_file_says_of_all_is_filled_in_as_well() -> None:
    questions = Questions(file=of("system: 'A {breed}'\nquestions: [{name: a, text: What}]"))
    (one,) = asked(questions, Row(pictures=CAT, columns={"breed": "tabby"}))
    assert one.prompt.system == "A tabby"
    with pytest.raises(UsageError, match=r"\{breed\}"):
        questions.checked(iter([Row(pictures=CAT)]))
    plain = replace(questions, system="A cat")
    assert list(plain.checked(iter([Row(pictures=CAT)]))) == [Row(pictures=CAT)]
    assert asked(plain)[0].prompt.system == "A cat"


def test_json_is_read_like_yaml(tmp_path: Path) -> None:
    data = {"questions": [{"name": "a", "text": "What?"}, {"name": "b", "text": "Why?", "when": {"a": "x"}}]}
    (tmp_path / "q.json").write_text(json.dumps(data), "utf-8")
    (tmp_path / "q.yaml").write_text("\ufeff" + yaml.safe_dump(data["questions"]), "utf-8")
    assert read(str(tmp_path / "q.json")) == read(str(tmp_path / "q.yaml"))


def test_words_that_yaml_once_took_for_other_things_are_words() -> None:
    (a, b) = of("- {name: on, text: yes}\n- {name: b, text: 12:30, when: {on: [no, 010, 3]}}").questions
    assert (a.name, a.text.source, b.text.source) == ("on", "yes", "12:30")
    assert b.when[0].values == ("no", "010", "3")


QUESTION = "- {name: a, text: What}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- name: [", "it is not YAML in line 1: "),
        ("- {name: a, text: What?}", "in line 1: expected ',' or '}', but got '?'; put the text into quotes"),
        ("- name: a\n- b: c: d\n", "it is not YAML in line 2: mapping values are not allowed here"),
        ("a: !!python/object/apply:os.getcwd []", "it is not YAML in line 1: could not determine a constructor"),
        ("[" * 1_500, "it is nested too deeply"),
        ("\0", "it is not YAML"),
        ("- {name: a, name: b, text: c}", "'name' stands there twice"),
        ("", "it holds no list of questions"),
        ("What?", "it holds no list of questions"),
        ("questions: []", "it holds 0 questions"),
        ("questions: {a: What}", "`questions` is a mapping, not a list"),
        ("questions: &x [*x]", "question 1 is a list: write `name:` and `text:`"),
        ("question: []", "unknown key 'question'. Did you mean 'questions'?"),
        ("- What?", "question 1 is 'What?': write `name:` and `text:`"),
        ("- {text: What}", "question 1: `name` is missing"),
        ("- {name: a}", "question 'a': `text` is missing"),
        ("- {name: 1, text: What}", "question 1: `name` is 1, not a text"),
        ('- {name: "a\\nb", text: What}', "`name` is one line"),
        ("- {name: a, text: }", "question 'a': `text` is empty, not a text"),
        ("- {name: a, text: '{stem'}", "question 'a': `text` cannot be used: The brace in '{stem' stands alone"),
        ("- {name: a, text: What, sytem: no}", "question 'a': unknown key 'sytem'. Did you mean 'system'?"),
        ("- {name: a, text: What, max_tokens: many}", "question 'a': `max_tokens` is 'many', not a number"),
        ("- {name: a, text: What, max_tokens: 0}", "`max_tokens` is 0, not a number of 1 or more"),
        ("- {name: a, text: What, seed: -1}", "`seed` is -1, not a whole number"),
        ("- {name: a, text: What, temperature: true}", "`temperature` is true, not a number from 0 to 2"),
        ("- {name: a, text: What, temperature: 3}", "`temperature` is 3, not a number from 0 to 2"),
        ("- {name: a, text: What, form: choice}", "question 'a': `form` cannot be used: there is no form"),
        ("- {name: a, text: What, form: {kind: regex, pattern: '('}}", "question 'a': `form` cannot be used: "),
        ("- {name: a, text: What, form: 3}", "`form` is 3: write yes_no"),
        ("- {name: a, text: What, form: &f {kind: schema, schema: {not: *f}}}", "`form` cannot be used: it holds what"),
        ("max_tokens: " + "9" * 5_000, "it is not YAML in line 1: this is no int"),
        ("seed: 1\nmax_tokens: !!bool many", "it is not YAML in line 2: this is no bool"),
        ("- {name: a, text: What, examples: x}", "`examples` is 'x', not a list"),
        ("- {name: a, text: What, examples: [{question: b}]}", "`examples` 1: has `question` and `answer`"),
        ("- {name: a, text: What, when: b}", "`when` is 'b': write `{other question: its answer}`"),
        (QUESTION * 2, "two questions are called 'a'"),
        (QUESTION + "- {name: b, text: c, when: {color: red}}", "question 'b': `when` names 'color', and no question"),
        ("- {name: color, text: c}\n- {name: b, text: c, when: {colour: red}}", "Did you mean 'color'?"),
        ("- {name: a, text: b, when: {a: c}}", "questions wait for each other: a -> a"),
        (QUESTION + "- {name: b, text: c, when: {a: true}}", "`when` 'a': is true: write the answer's own word"),
        (QUESTION + "- {name: b, text: c, when: {a: []}}", "`when` 'a': is an empty list"),
        (QUESTION + "- {name: b, text: c, when: {a: {is: x}}}", "`when` 'a': unknown key 'is'"),
        (QUESTION + "- {name: b, text: c, when: {a: {}}}", "`when` 'a': write one of `equals` and `one_of`"),
        (QUESTION + "- {name: b, text: c, when: {1: x}}", "`when` 1: is no question's name"),
        (
            "- {name: a, text: What, form: yes_no}\n- {name: b, text: c, when: {a: maybe}}",
            "question 'b': `when`: 'a' is never 'maybe'; its answers are yes, no",
        ),
    ],
)
def test_what_cannot_be_asked_is_said_with_its_place(text: str, said: str) -> None:
    with pytest.raises(QuestionsUnfit) as raised:
        of(text)
    assert str(raised.value).startswith("The questions in questions.yaml cannot be asked: ")
    assert said in str(raised.value)


def test_json_that_is_none_is_said_with_its_line() -> None:
    for text, said in (
        ("{", "it is not JSON in line 1"),
        ('{"a": 1, "a": 2}', "'a' stands there twice"),
        ("9" * 5_000, "a number of more than 4,300 digits"),
    ):
        with pytest.raises(QuestionsUnfit, match=said):
            of(text, "q.json")


def test_a_schema_in_yaml_may_name_properties_with_numbers() -> None:
    (one,) = of("- {name: a, text: b, form: {kind: schema, schema: {properties: {1: {}, b: {}}}}}").questions
    assert one.manner.form == {"kind": "schema", "schema": {"properties": {"1": {}, "b": {}}}}


def test_a_long_circle_is_shown_in_part() -> None:
    names = [f"q{number}" for number in range(100)]
    with pytest.raises(Cycle, match=r"^q0 -> q99 -> (q\d+ -> ){8}\.\.\. -> q0$"):
        ordered({name: [names[place - 1]] for place, name in enumerate(names)})


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(QuestionSetUnknown, match=r"no file 'captions' .* Did you mean 'caption'\?"):
        read("captions")
    with pytest.raises(QuestionsUnfit, match="it cannot be read: is a directory"):
        read(str(tmp_path))
    (tmp_path / "q").write_bytes(b"- name: \xff")
    with pytest.raises(QuestionsUnfit, match="it is not text in UTF-8"):
        read(str(tmp_path / "q"))


# --- sets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sets.names())
def test_each_set_can_be_asked_of_any_picture(name: str) -> None:
    found = read(name)
    assert found.description
    assert asked(Questions(file=found))
    assert not any(question.fields for question in found.questions)


def test_there_is_a_set_for_each_usual_wish() -> None:
    assert sets.names() == ["alt-text", "caption", "detailed-caption", "document-fields", "ocr", "tags"]


def test_the_file_that_the_documentation_shows_can_be_asked() -> None:
    page = Path(__file__).parents[2].joinpath("docs/questions.md").read_text("utf-8")
    shown = page.partition("```yaml\n")[2].partition("```")[0]
    assert [question.name for question in of(shown).questions] == ["kind", "sign", "hours"]
    assert all(f"`{name}`" in page for name in sets.names())


# --- what commands are known by -------------------------------------------------------------------


def test_what_was_asked_is_in_the_spec_word_for_word() -> None:
    spec = given_by("-q", "{a}", "-t", "{{{stem}", "--questions", "ocr", "--seed", "1").spec()
    assert (spec["questions"], spec["templates"], spec["seed"]) == (["{a}"], ["{{{stem}"], 1)
    assert json.loads(json.dumps(spec)) == spec
    assert [question["name"] for question in spec["file"]] == ["has_text", "text"]


def test_another_file_under_the_same_name_is_another_command() -> None:
    changed = SHOP.replace("hours", "closed")
    assert Questions(file=of(SHOP)).spec() != Questions(file=of(changed)).spec()
    assert Questions(file=of(SHOP)).spec() == Questions(file=of(SHOP)).spec()


# --- any file ----------------------------------------------------------------------------------

NAMES = st.lists(st.text(min_size=1, max_size=8).map(str.strip).filter(lambda s: s.isprintable() and s), unique=True)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["name", "text", "system", "examples", "form", "max_tokens", "temperature", "seed", "when", "x"])


@given(st.lists(st.dictionaries(KEYS, PLAIN | st.sampled_from(["a", "b", {"a": "b"}]), max_size=5), max_size=4))
def test_any_file_is_asked_or_refused_with_a_sentence(data: list[dict[str, Any]]) -> None:
    try:
        found = of(json.dumps(data), "q.json")
    except QuestionsUnfit as error:
        assert str(error)[-1] in ".?"
    else:
        assert of(json.dumps(found.data()), "q.json").questions == found.questions


@given(st.text(max_size=200))
def test_any_text_is_a_file_of_questions_or_refused_with_a_sentence(text: str) -> None:
    for name in ("q.json", "q.yaml"):
        try:
            of(text, name)
        except QuestionsUnfit as error:
            assert str(error)


@given(NAMES.filter(bool), st.data())
def test_any_graph_is_asked_in_order_or_shown_as_a_circle(names: list[str], data: st.DataObject) -> None:
    after = {name: data.draw(st.lists(st.sampled_from(names), max_size=2, unique=True)) for name in names}
    drafts = [
        {"name": name, "text": "?", **({"when": dict.fromkeys(after[name], "x")} if after[name] else {})}
        for name in names
    ]
    try:
        order = ordered(after)
    except Cycle as error:
        circle = str(error).split(" -> ")
        if not any(" -> " in name for name in names):
            assert circle[0] == circle[-1]
            assert all(later in after[earlier] for earlier, later in pairwise(circle))
        with pytest.raises(QuestionsUnfit, match="questions wait for each other"):
            of(json.dumps(drafts), "q.json")
    else:
        assert sorted(order) == sorted(names)
        for question in of(json.dumps(drafts), "q.json").questions:
            assert all(condition.ask < order.index(str(question.name)) for condition in question.when)
            assert {order[condition.ask] for condition in question.when} == set(after[str(question.name)])


@given(NAMES.filter(bool))
def test_questions_that_depend_on_nothing_keep_their_order(names: list[str]) -> None:
    assert ordered(dict.fromkeys(names, ())) == names


def test_a_chain_written_backwards_is_turned_round() -> None:
    assert ordered({"c": ["b"], "d": [], "b": ["a"], "a": []}) == ["d", "a", "b", "c"]


def test_errors_are_wrong_usage() -> None:
    assert PixmillError.exit_code == 1
    assert QuestionsUnfit.exit_code == QuestionSetUnknown.exit_code == 2
