"""A file of questions, which may depend on each other's answers.

system: You look at photographs of shops.     # for all questions; also examples, form, max_tokens, ...
questions:
  - name: kind
    text: Is this the outside or the inside of a shop?
    form: {kind: choices, choices: [outside, inside]}
  - name: sign
    text: What does the sign say?
    when: {kind: outside}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.conditions import Condition
from pipeline.errors import QuestionSetUnknown, QuestionsUnfit
from pipeline.questions import sets
from pipeline.questions.documents import Unreadable, from_json, from_yaml
from pipeline.questions.graph import Cycle, ordered
from pipeline.questions.keys import FILE, LONGEST_NAME, QUESTION, Named, Unfit, kind, near, said_by
from pipeline.questions.question import AS_ALL, Manner, Question

LARGEST = 10_000_000
"""bytes"""
MOST = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class QuestionSet:
    """Questions that belong together, in an order in which each stands behind those it depends on."""

    questions: tuple[Question, ...]
    common: Manner = AS_ALL
    """how they are asked where they do not say it themselves"""
    description: str = ""

    def data(self) -> list[dict[str, Any]]:
        """The questions in the words of a file, each with all that is said of it."""
        return [self._data(replace(one, manner=one.manner.over(self.common))) for one in self.questions]

    def _data(self, question: Question) -> dict[str, Any]:
        when: dict[str, dict[str, list[str]]] = {}
        for condition in question.when:
            said = when.setdefault(str(self.questions[condition.ask].name), {})
            said["contains" if condition.contains else "one_of"] = list(condition.values)
        return {**question.data(), "when": when} if when else question.data()


def read(name: str) -> QuestionSet:
    """The questions of a file, or of a set of that name. Raises QuestionsUnfit, QuestionSetUnknown."""
    return parse(name, source(name))


def source(name: str) -> str:
    """The file, or the set of that name, as it was written. Raises QuestionsUnfit, QuestionSetUnknown."""
    try:
        return sets.text(name) if name in sets.names() else _text(name)
    except Unfit as error:
        raise QuestionsUnfit(file=name, why=f"{error}.") from None


def parse(name: str, text: str) -> QuestionSet:
    """What a file with that name and text asks. Raises QuestionsUnfit."""
    try:
        return of_data((from_json if name.endswith(".json") else from_yaml)(text))
    except (Unfit, Unreadable) as error:
        why = str(error)
        raise QuestionsUnfit(file=name, why=why if why.endswith("?") else f"{why}.") from None


def of_data(data: Any) -> QuestionSet:
    """The questions that plain values describe. Raises Unfit."""
    whole = {"questions": data} if isinstance(data, list) else data
    if not isinstance(whole, dict):
        raise Unfit("it holds no list of questions; write `questions:` and below it `- name:` with a `text:`")
    said = said_by(whole, FILE)
    given = said.pop("questions", ())
    if not 1 <= len(given) <= MOST:
        raise Unfit(f"it holds {len(given):,} questions, and 1 to {MOST:,} can be asked")
    description = said.pop("description", "")
    drafts = [_draft(number, one) for number, one in enumerate(given, 1)]
    return QuestionSet(questions=_linked(drafts), common=Manner(**said), description=description)


def _text(name: str) -> str:
    try:
        with Path(name).open("rb") as file:
            raw = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise QuestionSetUnknown(name=name, near=near(name, sets.names())) from None
    except (OSError, ValueError) as error:
        raise Unfit(f"it cannot be read: {(getattr(error, 'strerror', None) or str(error)).lower()}") from None
    if len(raw) > LARGEST:
        raise Unfit(f"it has more than {LARGEST:,} bytes")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unfit("it is not text in UTF-8") from None


# --- questions and what they depend on -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Draft:
    """A question whose conditions name others."""

    name: str
    question: Question
    when: tuple[Named, ...]

    @property
    def answers(self) -> Sequence[str] | None:
        """The only answers it can have, where its form says so."""
        form = self.question.manner.form or {}
        if form.get("kind") == "yes_no":
            return ("yes", "no")
        return [str(choice) for choice in form["choices"]] if form.get("kind") == "choices" else None


def _draft(number: int, data: Any) -> _Draft:
    where = f"question {number}"
    if not isinstance(data, dict):
        raise Unfit(f"{where} is {kind(data)}: write `name:` and `text:`")
    if isinstance(data.get("name"), str):
        where = f"question {data['name'][:LONGEST_NAME]!r}"
    try:
        said = said_by(data, QUESTION)
        for needed in ("name", "text"):
            if needed not in said:
                raise Unfit(f"`{needed}` is missing")
    except Unfit as error:
        raise Unfit(f"{where}: {error}") from None
    name, text, when = said.pop("name"), said.pop("text"), said.pop("when", ())
    return _Draft(name, Question(text=text, name=name, manner=Manner(**said)), when)


def _linked(drafts: Sequence[_Draft]) -> tuple[Question, ...]:
    """The questions in their order, each condition with the place of what it depends on."""
    by_name: dict[str, _Draft] = {}
    for draft in drafts:
        if draft.name in by_name:
            raise Unfit(f"two questions are called {draft.name!r}")
        by_name[draft.name] = draft
    for draft in drafts:
        for condition in draft.when:
            _check(draft, condition, by_name)
    try:
        order = ordered({draft.name: [condition.question for condition in draft.when] for draft in drafts})
    except Cycle as error:
        raise Unfit(f"questions wait for each other: {error}") from None
    places = {name: place for place, name in enumerate(order)}
    return tuple(_placed(by_name[name], places) for name in order)


def _placed(draft: _Draft, places: Mapping[str, int]) -> Question:
    when = (Condition(ask=places[one.question], values=one.values, contains=one.contains) for one in draft.when)
    return replace(draft.question, when=tuple(when))


def _check(draft: _Draft, condition: Named, by_name: Mapping[str, _Draft]) -> None:
    """A condition is on a question that is there, and on an answer that it can have."""
    asked = by_name.get(condition.question)
    where = f"question {draft.name!r}: `when`"
    if asked is None:
        name = condition.question
        raise Unfit(f"{where} names {name!r}, and no question is called so.{near(name, by_name)}")
    if asked.answers is None or condition.contains:
        return
    possible = Condition(ask=0, values=tuple(asked.answers))
    for value in condition.values:
        if not possible.holds(value):
            raise Unfit(f"{where}: {asked.name!r} is never {value!r}; its answers are {', '.join(asked.answers)}")
