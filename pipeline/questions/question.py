"""A question: what is asked about each picture, how, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from pipeline.conditions import Condition
from pipeline.prompts import Ask, Form, Prompt, Sampling
from pipeline.questions.template import Template

Filled = Callable[[str], str]
"""field -> its value in a row"""
REMEMBERED = 4_096
"""prompts of one question that are kept: rows often fill in the same few values"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Manner:
    """How a question is asked. What is none is for others to say: the file, the command, the model."""

    system: Template | None = None
    examples: tuple[tuple[str, str], ...] | None = None
    """questions with their answers, word for word"""
    form: Form | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None

    def over(self, other: Manner) -> Manner:
        """What is said here; what is not, as the other says it."""
        mine = {name: value for name in self.__slots__ if (value := getattr(self, name)) is not None}
        return replace(other, **mine)

    def data(self) -> dict[str, Any]:
        """In the words of a file of questions: what is said, and nothing else."""
        examples = [{"question": asked, "answer": answer} for asked, answer in self.examples or ()]
        texts = {"system": self.system and self.system.source, "examples": examples or None}
        rest = {name: getattr(self, name) for name in ("form", "max_tokens", "temperature", "seed")}
        return {name: value for name, value in (texts | rest).items() if value is not None}

    def sampling(self, max_tokens: int) -> Sampling:
        return Sampling(max_tokens=self.max_tokens or max_tokens, temperature=self.temperature or 0.0, seed=self.seed)


AS_ALL = Manner()
"""nothing of its own"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A question, by itself or of a set."""

    text: Template
    name: str | None = None
    manner: Manner = AS_ALL
    when: tuple[Condition, ...] = ()

    def data(self) -> dict[str, Any]:
        """In the words of a file of questions, as far as it is about this question alone."""
        return {"name": self.name, "text": self.text.source, **self.manner.data()}

    @property
    def fields(self) -> tuple[str, ...]:
        """What a row has to fill in."""
        return (*self.text.fields, *(self.manner.system.fields if self.manner.system else ()))

    def asking(self, max_tokens: int) -> Callable[[Filled], Ask]:
        """The question as it is put to a row; `max_tokens` if it does not say how long an answer may be."""
        manner = self.manner
        sampling = manner.sampling(max_tokens)
        told = [said for pair in manner.examples or () for said in zip(("user", "assistant"), pair, strict=True)]

        @lru_cache(REMEMBERED)
        def prompt(system: str | None, text: str) -> Ask:
            head = [("system", system)] if system else []
            messages = (*head, *told, ("user", text))
            made = Prompt(messages=messages, sampling=sampling, form=manner.form)
            return Ask(prompt=made, name=self.name, when=self.when)

        def ask(filled: Filled) -> Ask:
            system = manner.system.fill(filled) if manner.system else None
            return prompt(system, self.text.fill(filled))

        return ask

    def with_system(self, system: str) -> Question:
        """The same, but with this system prompt."""
        return replace(self, manner=replace(self.manner, system=Template.literal(system)))
