"""Questions: what a command asks, as its options say it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from pipeline.options import together
from pipeline.prompts import Defaults, Form, Prompt, Sampling
from pipeline.sources.rows import Row
from pipeline.submit import Asking


@dataclass(frozen=True, kw_only=True)
class Questions:
    """What is asked about each picture; a caption when nothing is."""

    question: tuple[str, ...]
    system: str | None
    max_tokens: int | None
    temperature: float
    seed: int | None

    @property
    def given(self) -> bool:
        """Whether a person said anything about what to ask, or how."""
        return bool(self.question or self.system or self.max_tokens or self.temperature) or self.seed is not None

    def asking(self, defaults: Defaults, form: Form | None = None) -> Asking:
        """What is asked about a row: its own questions, else the command's."""
        sampling = self._sampling(defaults)
        plain = self.plain(defaults, form)

        @functools.cache
        def own(questions: tuple[str, ...], system: str | None) -> tuple[Prompt, ...]:
            return tuple(Prompt.ask(question, system=system, sampling=sampling, form=form) for question in questions)

        def asked(row: Row) -> Sequence[Prompt]:
            if row.prompts or not (row.questions or row.system):
                return row.prompts or plain
            return own(row.questions or self._texts(defaults), row.system or self.system)

        return asked

    def plain(self, defaults: Defaults, form: Form | None = None) -> tuple[Prompt, ...]:
        """The command's questions, as they are put to every picture that brings none."""
        sampling = self._sampling(defaults)
        texts = self._texts(defaults)
        return tuple(Prompt.ask(text, system=self.system, sampling=sampling, form=form) for text in texts)

    def _texts(self, defaults: Defaults) -> tuple[str, ...]:
        """Without a question of a person, the one that suits the model's family."""
        return tuple(dict.fromkeys(self.question or (defaults.caption,)))

    def _sampling(self, defaults: Defaults) -> Sampling:
        length = self.max_tokens or defaults.max_tokens
        return Sampling(max_tokens=length, temperature=self.temperature, seed=self.seed)

    def spec(self) -> dict[str, Any]:
        return {
            "questions": list(self.question),
            "system": self.system,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "seed": self.seed,
        }


question_options = together(
    "questions",
    Questions,
    click.option("-q", "--question", multiple=True, metavar="TEXT", help="What to ask. Repeatable; none: captions."),
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
        default=0.0,
        metavar="T",
        help="Sample with this temperature; 0, the default, always takes the likeliest token.",
    ),
    click.option("--seed", type=click.IntRange(0, 2**63 - 1), metavar="N", help="Seed for sampling."),
)
