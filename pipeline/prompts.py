"""A prompt: what is asked about a picture, with the parameters that shape the answer."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from pipeline.conditions import Condition

CAPTION = "Describe this picture."
MAX_TOKENS = 128
MOST_PICTURES = 16
"""pictures that one job may ask about; a family may take fewer"""

Form = Mapping[str, Any]
"""the form an answer must have, as plain data"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Defaults:
    """What a model is asked, and how long its answer may be, when nobody says."""

    caption: str = CAPTION
    max_tokens: int = MAX_TOKENS
    most_pictures: int = MOST_PICTURES
    """how many one question may be about"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How tokens are chosen. Greedy unless a temperature is set.

    A temperature without a seed means a new answer each time: the seed is drawn when the job runs,
    stored with the answer, and such answers are never taken from the cache.
    """

    max_tokens: int = MAX_TOKENS
    temperature: float = 0.0
    seed: int | None = None

    @property
    def repeatable(self) -> bool:
        return self.temperature == 0 or self.seed is not None


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """The messages (system, examples, question), the sampling and the answer's form.

    Pictures are not part of it: they go in front of the last user message's text.
    """

    messages: tuple[tuple[str, str], ...]
    sampling: Sampling = field(default_factory=Sampling)
    form: Form | None = None

    @classmethod
    def ask(
        cls,
        question: str,
        *,
        system: str | None = None,
        sampling: Sampling | None = None,
        form: Form | None = None,
    ) -> Prompt:
        head = (("system", system),) if system else ()
        return cls(messages=(*head, ("user", question)), sampling=sampling or Sampling(), form=form)

    @classmethod
    def from_stored(
        cls,
        messages: Sequence[Sequence[str]],
        parameters: Mapping[str, Any],
        form: Form | None,
        *,
        digest: bytes | None = None,
    ) -> Prompt:
        """A prompt out of plain data; its digest, where that is known, is not computed again."""
        pairs = tuple((role, text) for role, text in messages)
        made = cls(messages=pairs, sampling=Sampling(**parameters), form=form)
        if digest is not None:
            vars(made)["digest"] = digest  # where a cached property keeps it
        return made

    @property
    def question(self) -> str:
        return self.messages[-1][1]

    @property
    def system(self) -> str | None:
        role, text = self.messages[0]
        return text if role == "system" else None

    @property
    def parameters(self) -> dict[str, Any]:
        return {name: getattr(self.sampling, name) for name in Sampling.__slots__}

    @functools.cached_property
    def digest(self) -> bytes:
        """Sixteen bytes that are equal when, and only when, the same thing is asked in the same way."""
        body = [list(self.messages), self.parameters, self.form]
        return blake2b(canonical(body), digest_size=16).digest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """A question as it is put to a row: its prompt, its name, and what earlier answers it depends on."""

    prompt: Prompt
    name: str | None = None
    when: tuple[Condition, ...] = ()

    @classmethod
    def all(cls, prompts: Iterable[Prompt]) -> tuple[Ask, ...]:
        """Questions without a name that depend on nothing."""
        return tuple(cls(prompt=prompt) for prompt in prompts)


def canonical(value: object) -> bytes:
    """JSON with one spelling for one value, for hashing."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
