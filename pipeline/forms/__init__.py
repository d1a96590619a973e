"""Forms: what an answer must look like, as plain data. `KINDS` is the table of them.

A form is checked when it is given, made into the grammar that the engine holds the model to, and looked at again
in each answer before that is stored: not every engine can be held to a form, and no grammar says all of a schema.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.errors import SchemaInvalid
from pipeline.forms import choices, number, regex, schema
from pipeline.forms.ebnf import Ebnf, Spelling
from pipeline.forms.values import Reading, shown
from pipeline.prompts import Form

__all__ = ["KINDS", "Reading", "Spelling", "check_form", "grammar", "parsed", "read"]

LONGEST_GRAMMAR = 200_000
"""characters; a larger one takes the engine seconds to compile while all others wait"""


@dataclass(frozen=True, slots=True)
class Kind:
    """What is done with one kind of form."""

    check: Callable[[Any], None]
    """raises SchemaInvalid"""
    read: Callable[[Any, str], Reading]
    """raises InvalidAnswer"""
    grammar: Callable[[Any, Ebnf], str]


KINDS = {
    "choices": Kind(choices.check, choices.read, choices.grammar),
    "yes_no": Kind(choices.check_yes_no, choices.read_yes_no, choices.yes_no_grammar),
    "number": Kind(number.check, number.read, number.grammar),
    "regex": Kind(regex.check, regex.read, regex.grammar),
    "schema": Kind(schema.check, schema.read, schema.grammar),
}


def check_form(form: Any) -> None:
    """Raises SchemaInvalid with the reason when no answer can be held to it."""
    kind = form.get("kind") if isinstance(form, dict) else None
    if kind not in KINDS:
        raise SchemaInvalid(why=f"there is no form {shown(str(kind))}; forms: {', '.join(KINDS)}")
    KINDS[kind].check(form)
    if len(grammar(form)) > LONGEST_GRAMMAR:
        raise SchemaInvalid(why="it is too large; fewer or shorter parts, or smaller bounds, make it smaller")


def read(form: Form, text: str) -> Reading:
    """What an answer says. Raises InvalidAnswer when it does not have the form."""
    return KINDS[form["kind"]].read(form, text)


def parsed(form: Form, text: str) -> Any:
    """The value of an answer. Raises InvalidAnswer when it does not have the form."""
    return read(form, text).value


def grammar(form: Form, spelling: Spelling | None = None) -> str:
    """What the engine holds the model to, in EBNF, for its tokenizer's vocabulary."""
    if form["kind"] == "grammar":  # Pixmill's own, as verification makes them
        return str(form["grammar"])
    ebnf = Ebnf(spelling)
    return ebnf.text(KINDS[form["kind"]].grammar(form, ebnf))
