"""The serial engine: one request at a time through openvino-genai's plain pipeline.

For devices without paged attention, and as the reference the batching engine is compared with.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

import openvino_genai as genai

from pipeline.errors import JobError, ModelBroken
from workers.engine.complaint import FAULTS, complaint
from workers.engine.core import Ending, refusal
from workers.engine.device import Device
from workers.engine.folder import ModelFolder
from workers.engine.inputs import InputMaker, Inputs, blame
from workers.engine.outputs import ending
from workers.engine.requests import EngineConfig, Request, Runtime
from workers.engine.waves import Waves

# Without it VLMPipeline takes the same paged attention as the batching engine, and says nothing.
ATTENTION = {"ATTENTION_BACKEND": "SDPA"}


class Serial:
    """Holds one request; a step answers it from beginning to end."""

    def __init__(
        self,
        pipeline: genai.VLMPipeline,
        inputs: InputMaker,
        runtime: Runtime,
        config: EngineConfig,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.runtime = runtime
        self._pipeline, self._inputs, self._logprobs, self._now = pipeline, inputs, config.logprobs, now
        self.waves: Waves | None = None
        self._held: tuple[Request, Inputs, float] | None = None

    @property
    def running(self) -> int:
        return int(self.full)

    @property
    def full(self) -> bool:
        return self._held is not None

    def admit(self, request: Request) -> None:
        admitted = self._now()
        self._held = (request, self._inputs.make(request), admitted)

    def step(self) -> list[Ending]:
        assert self._held
        (request, inputs, admitted), self._held = self._held, None
        try:
            return [self._answer(request, inputs, admitted)]
        except JobError as error:
            return [refusal(request.id, error)]

    def cancel(self, ids: Collection[int]) -> None:
        if self._held and self._held[0].id in ids:
            self._held = None

    def _answer(self, request: Request, inputs: Inputs, admitted: float) -> Ending:
        try:
            result = self._generate(inputs)
        except FAULTS as error:
            raise blame(error, inputs, self._accepts) from error
        figures = result.perf_metrics
        tokens = figures.get_num_generated_tokens()
        return ending(
            request.id,
            text=result.texts[0],
            reason=result.finish_reasons[0],
            prompt_tokens=figures.get_num_input_tokens(),
            answer_tokens=tokens,
            logprob=result.scores[0] / max(1, tokens) if self._logprobs else None,
            vision_s=figures.get_vision_encoding_duration().mean / 1000,
            first_token_s=figures.get_ttft().mean / 1000,
            total_s=self._now() - admitted,
        )

    def _generate(self, inputs: Inputs) -> genai.VLMDecodedResults:
        return self._pipeline.generate(inputs.prompt, images=inputs.images, generation_config=inputs.generation)

    def _accepts(self, inputs: Inputs) -> bool:
        inputs.generation.max_new_tokens = 1  # whether it starts is all that is asked
        try:
            self._generate(inputs)
        except FAULTS:
            return False
        return True


def load(config: EngineConfig, pixels: int) -> Serial:
    """Load a model for one request at a time. Raises a `SetupError`."""
    folder, device = ModelFolder.open(config.model), Device(config.device, config.device_config)
    try:
        pipeline = genai.VLMPipeline(config.model, device.name, **ATTENTION, **device.settings)
    except FAULTS as error:
        raise ModelBroken(path=config.model, why=complaint(error)) from error
    own = pipeline.get_generation_config()
    inputs = InputMaker(folder, pipeline.get_tokenizer(), own, pixels, logprobs=config.logprobs)
    runtime = device.runtime("serial", {"device": ATTENTION | device.options(), "holds_forms": inputs.holds_forms})
    return Serial(pipeline, inputs, runtime, config)
