"""Choices: an answer that is one of some texts."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.errors import InvalidAnswer, SchemaInvalid
from pipeline.forms.ebnf import Ebnf, either
from pipeline.forms.values import Reading, shown

MOST = 2_000
LONGEST = 200
_AROUND = " \t\r\n.,;:!?\"'"
"""what a model that is not held to a form puts around a choice"""
_UNSEEN = ("Cf", "Zs")
"""joiners, marks of direction, and blanks other than the space"""


def check(form: Any) -> None:
    """Raises SchemaInvalid. That one choice begins with another is no fault: the model says where it ends."""
    choices = form.get("choices")
    if not isinstance(choices, list | tuple) or not all(isinstance(choice, str) for choice in choices):
        raise SchemaInvalid(why="choices must be a list of texts")
    if len(choices) < 2 or len(choices) > MOST:
        raise SchemaInvalid(why=f"there must be 2 to {MOST:,} choices, not {len(choices):,}")
    for choice in choices:
        if choice != choice.strip() or not choice or not _is_line(choice) or len(choice) > LONGEST:
            raise SchemaInvalid(
                why=f"{shown(choice)} is no choice: one is a line of 1 to {LONGEST} characters without blanks around it"
            )
    if twice := next((choice for place, choice in enumerate(choices) if choice in choices[:place]), None):
        raise SchemaInvalid(why=f"the choice {shown(twice)} is there twice")


def _is_line(text: str) -> bool:
    """Joiners within words and emoji are no letters to Python, and part of a line all the same."""
    return all(sign.isprintable() or unicodedata.category(sign) in _UNSEEN for sign in text)


def read(form: Any, text: str) -> Reading:
    """The choice as it was written, however the model spelled it. Raises InvalidAnswer."""
    choice = find(text, form["choices"])
    if choice is None:
        raise InvalidAnswer(why=f"{shown(text)} is none of {_listed(form['choices'])}")
    return Reading(choice, choice)


def grammar(form: Any, ebnf: Ebnf) -> str:
    return either(ebnf.literal(spelling) for spelling in spellings(form["choices"]))


def find(text: str, choices: Sequence[str]) -> str | None:
    """The choice that a text is: word for word, else the only one that it is but for capitals and full stops."""
    if text.strip() in choices:
        return text.strip()
    bare = text.strip(_AROUND).casefold()
    found = [choice for choice in choices if choice.strip(_AROUND).casefold() == bare]
    return found[0] if len(found) == 1 else None


def spellings(choices: Sequence[str]) -> Sequence[str]:
    """The choices, and each with a capital letter, as most models begin an answer, unless another choice is like it."""
    capital = (choice[0].upper() + choice[1:] for choice in choices)
    return list(dict.fromkeys([*choices, *(spelling for spelling in capital if find(spelling, choices))]))


def _listed(choices: Sequence[str], most: int = 12) -> str:
    more = f" and {len(choices) - most:,} more" if len(choices) > most else ""
    return f"{', '.join(choices[:most])}{more}"


# --- yes or no -------------------------------------------------------------------------------------

ANSWERS: Mapping[str, bool] = {"yes": True, "no": False}


def check_yes_no(form: Any) -> None:
    """Nothing about it can be wrong."""


def read_yes_no(form: Any, text: str) -> Reading:
    """Raises InvalidAnswer."""
    choice = read({"choices": list(ANSWERS)}, text).text
    return Reading(choice, ANSWERS[choice])


def yes_no_grammar(form: Any, ebnf: Ebnf) -> str:
    return grammar({"choices": list(ANSWERS)}, ebnf)
