"""The keys of a file of questions, and the values they take."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pipeline.errors import SchemaInvalid, UsageError
from pipeline.prompts import Form
from pipeline.questions.template import Template

LONGEST_NAME = 100
Read = Callable[[Any], Any]


class Unfit(Exception):
    """Something in the file cannot be used; the message says what and where."""


@dataclass(frozen=True, slots=True)
class Named:
    """A condition on the answer to a question, by its name."""

    question: str
    values: tuple[str, ...]
    contains: bool = False


def said_by(data: Mapping[Any, Any], keys: Mapping[str, Read]) -> dict[str, Any]:
    """What the keys say. Raises Unfit for a key that means nothing and for a value that does not fit."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        if key not in keys:
            raise Unfit(f"unknown key {str(key)[:LONGEST_NAME]!r}.{near(str(key), keys)} Keys: {', '.join(keys)}")
        try:
            found[key] = keys[key](value)
        except Unfit as error:
            raise Unfit(f"`{key}` {error}") from None
    return found


def _words(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise Unfit(f"is {kind(value)}, not a text")
    return value.strip()


def _name(value: Any) -> str:
    name = _words(value)
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise Unfit(f"is one line of {LONGEST_NAME} characters at most: exports use it as a column's name")
    return name


def _template(value: Any) -> Template:
    try:
        return Template.parse(_words(value))
    except UsageError as error:
        raise Unfit(f"cannot be used: {error}") from None


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Unfit(f"is {kind(value)}, not a list: write `- name: ...` for each question")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not 1 <= value < 2**31:
        raise Unfit(f"is {kind(value)}, not a number of 1 or more")
    return value


def _seed(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise Unfit(f"is {kind(value)}, not a whole number of 0 or more")
    return value


def _temperature(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value <= 2:
        raise Unfit(f"is {kind(value)}, not a number from 0 to 2")
    return float(value)


def _examples(value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list):
        raise Unfit(f"is {kind(value)}, not a list: write `- question: ...` with an `answer:`")
    return tuple(_example(number, one) for number, one in enumerate(value, 1))


def _example(number: int, value: Any) -> tuple[str, str]:
    try:
        if not isinstance(value, dict) or set(value) != {"question", "answer"}:
            raise Unfit("has `question` and `answer` and nothing else")
        said = said_by(value, {"question": _words, "answer": _answer})
    except Unfit as error:
        raise Unfit(f"{number}: {error}") from None
    return said["question"], said["answer"]


def _form(value: Any) -> Form:
    """A form in the words of `pipeline.forms`; one that has nothing more to say may be its name alone."""
    from pipeline.forms import check_form

    form = {"kind": value} if isinstance(value, str) else value
    if not isinstance(form, dict):
        raise Unfit(f"is {kind(value)}: write yes_no, number, or {{kind: choices, choices: [...]}}")
    try:
        check_form(form)
    except SchemaInvalid as error:
        raise Unfit(f"cannot be used: {error.facts['why']}") from None
    # Keys such as 1 are numbers to YAML, and texts in JSON, as which forms are stored.
    found: Form = json.loads(json.dumps(form))
    return found


def _conditions(value: Any) -> tuple[Named, ...]:
    if not isinstance(value, dict) or not value:
        raise Unfit(f"is {kind(value)}: write `{{other question: its answer}}`")
    return tuple(named for question, test in value.items() for named in _tests(question, test))


def _tests(question: Any, test: Any) -> Iterator[Named]:
    try:
        if not isinstance(question, str):
            raise Unfit("is no question's name")
        if not isinstance(test, dict):
            yield Named(question, _answers(test))
            return
        said = said_by(test, {"equals": _one_answer, "one_of": _answers, "contains": _answers})
    except Unfit as error:
        raise Unfit(f"{question!r}: {error}") from None
    if not said or {"equals", "one_of"} <= said.keys():
        raise Unfit(f"{question!r}: write one of `equals` and `one_of`, or `contains`, or that too")
    for word, values in said.items():
        yield Named(question, values, contains=word == "contains")


def _one_answer(value: Any) -> tuple[str, ...]:
    return (_answer(value),)


def _answers(value: Any) -> tuple[str, ...]:
    found = tuple(map(_answer, value)) if isinstance(value, list) else (_answer(value),)
    if not found:
        raise Unfit("is an empty list, which no answer is one of")
    return found


def _answer(value: Any) -> str:
    if isinstance(value, bool):
        raise Unfit(f"is {kind(value)}: write the answer's own word, such as yes")
    if type(value) in (int, float):
        return str(value)
    return _words(value)


MANNER: dict[str, Read] = {
    "system": _template,
    "examples": _examples,
    "form": _form,
    "max_tokens": _count,
    "temperature": _temperature,
    "seed": _seed,
}
"""how questions are asked"""
FILE: dict[str, Read] = {"questions": _list, "description": _words, **MANNER}
QUESTION: dict[str, Read] = {"name": _name, "text": _template, "when": _conditions, **MANNER}


def kind(value: Any) -> str:
    """A value as a sentence speaks of it."""
    if value is None or value == "":
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    return f"{value[:40]!r}" if isinstance(value, str) else str(value)[:40]


def near(name: str, known: Iterable[str]) -> str:
    """A question after the name that was meant, if one is like it."""
    found = get_close_matches(name, list(known), 1)
    return f" Did you mean {found[0]!r}?" if found else ""
