"""Questions: what a command asks, as its options say it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from pipeline.errors import UsageError
from pipeline.options import together
from pipeline.prompts import Ask, Defaults, Form
from pipeline.questions.question import AS_ALL, Manner, Question
from pipeline.questions.template import PLACES, Template, Values
from pipeline.sources.rows import Row, Rows
from pipeline.submit import Asking

if TYPE_CHECKING:
    from pipeline.questions.file import QuestionSet

REMEMBERED = 4_096
"""what rows bring themselves is often the same"""


@dataclass(frozen=True, kw_only=True)
class Questions:
    """What is asked about each picture; a caption when nothing is."""

    question: tuple[str, ...] = ()
    template: tuple[Template, ...] = ()
    file: QuestionSet | None = None
    system: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None

    @property
    def asked(self) -> bool:
        """Whether a person said what to ask."""
        return bool(self.question or self.template or self.file)

    @property
    def given(self) -> bool:
        """Whether a person said anything about what to ask, or how."""
        return self.asked or self._manner(None) != AS_ALL

    def asking(self, defaults: Defaults, form: Form | None = None) -> Asking:
        """What is asked about a row: its own questions, else the command's."""
        manner = self._manner(form)
        questions = self._questions(defaults, form)

        @lru_cache(REMEMBERED)
        def own(texts: tuple[str, ...], system: str | None) -> tuple[Ask, ...]:
            made = (Question(text=Template.literal(text), manner=_of(system).over(manner)) for text in texts)
            return tuple(one.asking(defaults.max_tokens)(_nothing) for one in made)

        @lru_cache(REMEMBERED)
        def command(system: str | None) -> Callable[[Row], Sequence[Ask]]:
            """The command's questions, with the system prompt of a row that has one."""
            said = [one.with_system(system) if system else one for one in questions]
            asks = [one.asking(defaults.max_tokens) for one in said]
            if not any(one.fields for one in said):
                always = tuple(ask(_nothing) for ask in asks)
                return lambda row: always

            def filled(row: Row) -> Sequence[Ask]:
                values = Values(row)
                return [ask(values) for ask in asks]

            return filled

        def asked(row: Row) -> Sequence[Ask]:
            if row.prompts:
                return Ask.all(row.prompts)
            return own(row.questions, row.system) if row.questions else command(row.system)(row)

        return asked

    def checked(self, rows: Rows) -> Rows:
        """The rows. Where questions use columns and the first row can have none, that is said at once."""
        fields = {field for one in self._questions(Defaults(), None) for field in one.fields}
        if not (columns := sorted(fields.difference(PLACES))):
            return rows
        first = next(rows, None)
        if isinstance(first, Row) and first.columns is None and not (first.questions or first.prompts):
            named = ", ".join(f"{{{field}}}" for field in columns)
            detail = f"The questions use {named}, but pictures alone have only {{name}}, {{stem}} and {{directory}}."
            raise UsageError(detail=f"{detail} Columns come with --manifest; a brace itself is written {{{{ or }}}}.")
        return rows if first is None else chain([first], rows)

    def _questions(self, defaults: Defaults, form: Form | None) -> tuple[Question, ...]:
        """Without a question of a person, the one that suits the model's family."""
        manner = self._manner(form)
        literal = map(Template.literal, self.question if self.asked else (defaults.caption,))
        found = [Question(text=text, manner=manner) for text in dict.fromkeys((*literal, *self.template))]
        return (*found, *self._of_file(manner, len(found)))

    def _of_file(self, manner: Manner, places: int) -> Iterator[Question]:
        """The file's questions behind so many others. What it says of all of them, the command may say otherwise."""
        if self.file is None:
            return
        common = manner.over(self.file.common)
        for one in self.file.questions:
            when = tuple(replace(condition, ask=condition.ask + places) for condition in one.when)
            yield replace(one, manner=one.manner.over(common), when=when)

    def _manner(self, form: Form | None) -> Manner:
        return replace(
            _of(self.system), form=form, max_tokens=self.max_tokens, temperature=self.temperature, seed=self.seed
        )

    def spec(self) -> dict[str, Any]:
        return {
            "questions": list(self.question),
            "templates": [template.source for template in self.template],
            "file": None if self.file is None else self.file.data(),
            "system": self.system,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "seed": self.seed,
        }


def _of(system: str | None) -> Manner:
    return Manner(system=Template.literal(system) if system else None)


def _nothing(field: str) -> str:
    raise AssertionError(f"nothing fills in {field}")


def _texts(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """A shell makes an empty text of a variable that is not set, and a model answers that too."""
    if not all(map(str.strip, values)):
        raise UsageError(detail=f"{parameter.opts[-1]} is empty: what is to be asked?")
    return values


def _template(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[Template, ...]:
    return tuple(map(Template.parse, _texts(context, parameter, values)))


def _file(context: click.Context, parameter: click.Parameter, value: str | None) -> QuestionSet | None:
    from pipeline.questions.file import read  # YAML costs a moment, which --help need not wait for

    return None if value is None else read(value)


question_options = together(
    "questions",
    Questions,
    click.option(
        "-q",
        "--question",
        multiple=True,
        callback=_texts,
        metavar="TEXT",
        help="What to ask. Repeatable; none: captions.",
    ),
    click.option(
        "-t",
        "--template",
        multiple=True,
        callback=_template,
        metavar="TEXT",
        help="A question with {name}, {stem}, {directory} or {column} of each row in it. Repeatable.",
    ),
    click.option(
        "--questions",
        "file",
        callback=_file,
        metavar="FILE",
        help="Questions from a YAML or JSON file, or a set that `pixmill prompts ls` lists.",
    ),
    click.option("-s", "--system", metavar="TEXT", help="A system prompt for all questions."),
    click.option(
        "--max-tokens",
        type=click.IntRange(min=1),
        metavar="N",
        help="How long an answer may be; if not given, what suits the model's family.",
    ),
    click.option(
        "--temperature",
        type=click.FloatRange(0, 2),
        metavar="T",
        help="Sample with this temperature; 0, the default, always takes the likeliest token.",
    ),
    click.option("--seed", type=click.IntRange(0, 2**63 - 1), metavar="N", help="Seed for sampling."),
)
