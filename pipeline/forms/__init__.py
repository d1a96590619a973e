"""Forms: what an answer must look like, as plain data. `KINDS` is the table of them.

A form is checked when it is given, made into the grammar that the engine holds the model to, and looked at again
in each answer before that is stored: not every engine can be held to a form, and no grammar says all of a schema.
"""

from __future__ import annotations

import json
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
    key: str | None
    """what more may be said of it"""


KINDS = {
    "choices": Kind(choices.check, choices.read, choices.grammar, "choices"),
    "yes_no": Kind(choices.check_yes_no, choices.read_yes_no, choices.yes_no_grammar, None),
    "number": Kind(number.check, number.read, number.grammar, "integer"),
    "regex": Kind(regex.check, regex.read, regex.grammar, "pattern"),
    "schema": Kind(schema.check, schema.read, schema.grammar, "schema"),
}


def check_form(form: Any) -> None:
    """Raises SchemaInvalid with the reason when no answer can be held to it."""
    kind = form.get("kind") if isinstance(form, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise SchemaInvalid(why=f"there is no form {shown(str(kind))}; forms: {', '.join(KINDS)}")
    known = [key for key in ("kind", KINDS[kind].key) if key]
    if unknown := next((key for key in form if key not in known), None):
        raise SchemaInvalid(why=f"{shown(str(unknown))} says nothing of the form {kind}; keys: {', '.join(known)}")
    _check_values(form)
    KINDS[kind].check(form)
    if len(grammar(form)) > LONGEST_GRAMMAR:
        raise SchemaInvalid(why="it is too large; fewer or shorter parts, or smaller bounds, make it smaller")


def _check_values(form: Any) -> None:
    """A form is stored as JSON, which has neither endless numbers nor parts that hold themselves."""
    try:
        json.dumps(form, allow_nan=False)
    except (ValueError, TypeError):
        raise SchemaInvalid(why="it holds what JSON cannot: NaN, an endless number, or itself") from None
    except RecursionError:
        raise SchemaInvalid(why="it is too deep") from None


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
