"""Waves through `generate` of openvino-genai, which encodes each picture once as long as its conversation is kept.

A wave has two parts. First each picture is shown: its first question gets one token, which encodes the picture
and leaves the prompt up to the question in the KV cache. Then all questions are answered in one call, and find
both. Showing first brought 4 questions about a picture from 2.3 to 1.5 times one for LLaVA, whose cost is in
reading the picture's tokens (prefix caching; without it the showing costs a tenth more).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import openvino as ov
import openvino_genai as genai

from pipeline.errors import JobError
from workers.engine.complaint import FAULTS, complaint
from workers.engine.core import Ending, refusal
from workers.engine.inputs import InputMaker, Inputs
from workers.engine.outputs import ending
from workers.engine.registry import Face, are_the_same, face
from workers.engine.requests import Request
from workers.engine.tidying import tidy
from workers.engine.waves import Broken

# `generate` applies the chat template by itself and cannot be told not to. The prompts have been through the
# model's own, so it gets one that changes nothing. (A shorter one draws complaints from the template engine.)
_AS_IT_IS = "{% for message in messages %}{{ message['content'] }}{% endfor %}"

_NO_ROOM = "GenerationStatus::IGNORED"


@dataclass(frozen=True, slots=True)
class _Shown:
    """A question whose picture the pipeline has encoded."""

    request: Request
    inputs: Inputs
    admitted: float
    vision_s: float


class Sharing:
    """The waves of a batching engine.

    What an answer says of its time: `vision_s` is its share of its picture's encoding, in equal parts, so that sums are
    right; `first_token_s` ends when the wave's first token came, be it another question's; `total_s` ends with
    the wave, since nothing is known before. All begin when the showing of its picture did.
    """

    def __init__(
        self,
        pipeline: genai.ContinuousBatchingPipeline,
        inputs: InputMaker,
        most: int,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pipeline, self._inputs, self._now = pipeline, inputs, now
        self._tokenizer = pipeline.get_tokenizer()
        self._limit = self._most = most
        self._shown: dict[int, _Shown] = {}
        self._faces: dict[Face, ov.Tensor] = {}
        self._kept: list[genai.ChatHistory] = []
        """conversations of the showing: as long as they are there, so is what was encoded for them"""

    @property
    def most(self) -> int:
        """At first as many as run at once; less while waves fail, since how full the cache gets is not known before."""
        return self._most

    @property
    def pulse(self) -> object:
        """How many run, and how full the cache is, to the block."""
        figures = self._pipeline.get_metrics()
        return figures.requests, figures.scheduled_requests, figures.cache_usage, figures.cache_size_in_bytes

    def fits(self, group: Sequence[Request]) -> bool:
        faces = dict(self._faces)
        try:
            images = self._inputs.images(group[0])
        except JobError:
            return False
        return all(are_the_same(faces.setdefault(face(image), image), image) for image in images)

    def show(self, group: Sequence[Request]) -> list[Ending]:
        admitted = self._now()
        images = self._inputs.images(group[0])
        shown, refused = self._prepare(group, images)
        if shown:
            vision_s = self._encode(shown[0][1])
            self._faces |= {face(image): image for image in images}
            for request, inputs in shown:
                self._shown[request.id] = _Shown(request, inputs, admitted, vision_s / len(shown))
        return refused

    def answer(self) -> list[Ending]:
        shown, self._shown = list(self._shown.values()), {}
        try:
            endings = self._answer(shown) if shown else []
            self._most = min(self._limit, self._most + 1)
            return endings
        except Broken:
            self._most = max(2, len(shown) // 2)  # most likely the cache has no room for so many
            raise
        finally:
            self._faces.clear()
            self._kept.clear()
            tidy(self._pipeline)

    def forget(self, ids: Collection[int]) -> None:
        """What is being answered already goes on."""
        for id in ids:
            self._shown.pop(id, None)

    def _prepare(
        self, group: Sequence[Request], images: list[ov.Tensor]
    ) -> tuple[list[tuple[Request, Inputs]], list[Ending]]:
        ready: list[tuple[Request, Inputs]] = []
        refused: list[Ending] = []
        for request in group:
            try:
                ready.append((request, self._inputs.make(request, images)))
            except JobError as error:
                refused.append(refusal(request.id, error))
        return ready, refused

    def _encode(self, inputs: Inputs) -> float:
        """How many seconds the pictures' encoding took."""
        config = genai.GenerationConfig()
        config.max_new_tokens = 1
        history = _conversation(inputs)
        try:
            (result,) = self._generate([history], [inputs.images], [config])
        except FAULTS as error:
            raise Broken(complaint(error)) from error
        self._kept.append(history)
        return float(result.perf_metrics.get_vision_encoding_duration().mean) / 1000

    def _answer(self, shown: Sequence[_Shown]) -> list[Ending]:
        begun = self._now()
        try:
            results = self._generate(
                [_conversation(each.inputs) for each in shown],
                [each.inputs.images for each in shown],
                [each.inputs.generation for each in shown],
            )
        except RuntimeError as error:
            # As in `step`, anything but a full cache is fatal: after a grammar that xgrammar does not take, other
            # threads of the sampler went on with requests that were gone, and the process died soon after.
            if _NO_ROOM not in str(error):
                raise
            raise Broken(complaint(error)) from error
        ended = self._now()
        return [self._end(each, result, begun, ended) for each, result in zip(shown, results, strict=True)]

    def _generate(
        self,
        histories: list[genai.ChatHistory],
        images: list[list[ov.Tensor]],
        configs: list[genai.GenerationConfig],
    ) -> list[genai.VLMDecodedResults]:
        for config in configs:
            config.apply_chat_template = True  # else it refuses
        with self._verbatim():
            return list(self._pipeline.generate(histories, images=images, generation_config=configs))

    @contextmanager
    def _verbatim(self) -> Iterator[None]:
        own = self._tokenizer.chat_template
        self._tokenizer.chat_template = _AS_IT_IS
        try:
            yield
        finally:
            self._tokenizer.chat_template = own

    def _end(self, each: _Shown, result: genai.VLMDecodedResults, begun: float, ended: float) -> Ending:
        text, reason = result.texts[0], result.finish_reasons[0]
        figures = result.perf_metrics
        tokens = self._count(text, reason, each.request)
        return ending(
            each.request.id,
            text=text,
            reason=reason,
            prompt_tokens=figures.get_num_input_tokens(),
            answer_tokens=tokens,
            logprob=result.scores[0] / tokens if each.inputs.generation.logprobs else None,
            vision_s=each.vision_s,
            first_token_s=begun - each.admitted + figures.get_ttft().mean / 1000,
            total_s=ended - each.admitted,
        )

    def _count(self, text: str, reason: genai.GenerationFinishReason, request: Request) -> int:
        """The tokens of an answer. `generate` counts those of all answers together, so the text is read again."""
        if reason == genai.GenerationFinishReason.LENGTH:
            return request.sampling.max_tokens
        return int(self._tokenizer.encode(text, add_special_tokens=False).input_ids.shape[1]) + 1


def _conversation(inputs: Inputs) -> genai.ChatHistory:
    """The prompt as it is, which the engine takes for one message."""
    history = genai.ChatHistory()
    history.append({"role": "user", "content": inputs.prompt})
    return history
