"""What goes into an engine and what comes out, as values that travel as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from pipeline.prompts import Sampling


@dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """How an engine is started. Sizes and names follow openvino-genai's own."""

    engine: str = "batching"
    model: str
    stamp: str | None = None
    """of the model's files as the database knows them; an engine that was started on others must not answer"""
    device: str = "CPU"
    device_config: Mapping[str, str] = field(default_factory=dict)
    cores: tuple[int, ...] | None = None
    max_num_seqs: int = 16
    max_num_batched_tokens: int | None = None
    cache_size: int | None = None
    """GiB for the KV cache; none lets it grow with what runs"""
    enable_prefix_caching: bool = True
    logprobs: bool = True
    tokens: bool = False
    """whether a completion also has its tokens, each with its log-probability; the batching engine knows them"""
    script: Mapping[str, Any] = field(default_factory=dict)
    """for the fake engine"""

    def wire(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_wire(cls, body: dict[str, Any]) -> Self:
        cores = body.pop("cores")
        return cls(**body, cores=None if cores is None else tuple(cores))


class AsObject:
    """Travels as an object of its fields."""

    __slots__ = ()

    def wire(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}  # type: ignore[attr-defined]

    @classmethod
    def of_wire(cls, body: dict[str, Any]) -> Self:
        return cls(**body)


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """A decoded picture in shared memory: RGB bytes from `offset` on."""

    offset: int
    width: int
    height: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One question. The id is unique per attempt, so a late answer to an earlier one cannot be mistaken."""

    id: int
    frames: tuple[Frame, ...]
    messages: tuple[tuple[str, str], ...]
    sampling: Sampling
    form: Mapping[str, Any] | None = None
    """what the answer must look like, as `Prompt.form`; {"kind": "grammar", "grammar": EBNF} is verification's own"""

    def wire(self) -> list[Any]:
        frames = [(f.offset, f.width, f.height) for f in self.frames]
        sampling = (self.sampling.max_tokens, self.sampling.temperature, self.sampling.seed)
        return [self.id, frames, self.messages, sampling, self.form]

    @classmethod
    def of_wire(cls, body: list[Any]) -> Self:
        id, frames, messages, (max_tokens, temperature, seed), form = body
        return cls(
            id=id,
            frames=tuple(Frame(offset=offset, width=width, height=height) for offset, width, height in frames),
            messages=tuple((role, text) for role, text in messages),
            sampling=Sampling(max_tokens=max_tokens, temperature=temperature, seed=seed),
            form=form,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion(AsObject):
    """What the model said, with the engine's own figures (durations count from admission)."""

    id: int
    text: str
    finish_reason: str
    prompt_tokens: int
    answer_tokens: int
    logprob: float | None
    vision_s: float
    first_token_s: float
    total_s: float
    tokens: Sequence[tuple[int, float]] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal(AsObject):
    """Why the engine has no answer; `code` is one of `pipeline.errors.CODES`."""

    id: int
    code: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Runtime(AsObject):
    """What an engine says of itself when it is ready: the half of provenance that only it knows."""

    engine: str
    device: str
    device_name: str
    versions: Mapping[str, str]
    options: Mapping[str, Any]
