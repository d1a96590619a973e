"""The batching engine: many requests at once through openvino-genai's continuous batching."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from statistics import fmean

import openvino_genai as genai

from pipeline.errors import EmptyAnswer, JobError, ModelBroken, OutOfCache
from workers.engine import registry
from workers.engine.complaint import FAULTS, complaint
from workers.engine.core import Ending, refusal
from workers.engine.device import Device
from workers.engine.folder import ModelFolder
from workers.engine.inputs import InputMaker, Inputs, blame
from workers.engine.outputs import ending
from workers.engine.requests import EngineConfig, Request, Runtime
from workers.engine.sharing import Sharing
from workers.engine.tidying import EVERY, tidy

_SCHEDULING = (
    "max_num_seqs",
    "max_num_batched_tokens",
    "cache_size",
    "num_kv_blocks",
    "enable_prefix_caching",
    "dynamic_split_fuse",
)


@dataclass(slots=True)
class _Running:
    request: Request
    handle: genai.GenerationHandle
    admitted: float
    first_token: float | None = None


class Batching:
    """Keeps up to `max_num_seqs` requests in one continuous batch.

    A request that finds no room in the KV cache comes back IGNORED, with neither tokens nor an exception. It is
    set aside and tried again with nothing beside it; only if it fails like that it is out of cache.
    """

    def __init__(
        self,
        pipeline: genai.ContinuousBatchingPipeline,
        inputs: InputMaker,
        runtime: Runtime,
        config: EngineConfig,
        waves: Sharing | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.runtime, self.waves = runtime, waves
        self._pipeline, self._inputs, self._now = pipeline, inputs, now
        self._max_num_seqs, self._logprobs, self._tokens = config.max_num_seqs, config.logprobs, config.tokens
        self._decode = pipeline.get_tokenizer().decode
        self._handle_ids = itertools.count()  # the pipeline breaks when an id is used twice
        self._running: dict[int, _Running] = {}
        self._aside: deque[Request] = deque()
        self._alone: int | None = None

    @property
    def running(self) -> int:
        return len(self._running) + len(self._aside)

    @property
    def full(self) -> bool:
        return len(self._running) >= self._max_num_seqs or bool(self._aside) or self._alone is not None

    def admit(self, request: Request) -> None:
        admitted = self._now()
        inputs = self._inputs.make(request)
        try:
            handle = self._add(inputs)
        except FAULTS as error:
            raise blame(error, inputs, self._accepts) from error
        self._running[request.id] = _Running(request, handle, admitted)

    def step(self) -> list[Ending]:
        if not self._running and self._aside:
            return self._try_alone(self._aside.popleft())
        self._pipeline.step()
        now = self._now()
        endings = [self._look(running, now) for running in list(self._running.values())]
        return [ending for ending in endings if ending]

    def cancel(self, ids: Collection[int]) -> None:
        for id in ids:
            if running := self._take(id):
                running.handle.cancel()
        self._aside = deque(request for request in self._aside if request.id not in ids)
        if self.waves:
            self.waves.forget(ids)

    def _add(self, inputs: Inputs) -> genai.GenerationHandle:
        id = next(self._handle_ids)
        if id % EVERY == 0:
            tidy(self._pipeline)
        return self._pipeline.add_request(id, inputs.prompt, inputs.images, inputs.generation)

    def _accepts(self, inputs: Inputs) -> bool:
        try:
            self._add(inputs).cancel()
        except FAULTS:
            return False
        return True

    def _try_alone(self, request: Request) -> list[Ending]:
        try:
            self.admit(request)
        except JobError as error:
            return [refusal(request.id, error)]
        self._alone = request.id
        return []

    def _look(self, running: _Running, now: float) -> Ending | None:
        """How a request stands after a step; its ending if it has ended."""
        if running.first_token is None and running.handle.can_read():
            running.first_token = now
        status = running.handle.get_status()
        if status == genai.GenerationStatus.RUNNING:
            return None
        alone = self._alone == running.request.id
        self._take(running.request.id)
        if status == genai.GenerationStatus.FINISHED:
            return self._end(running, now)
        if alone:
            return refusal(running.request.id, OutOfCache())
        self._aside.append(running.request)
        return None

    def _take(self, id: int) -> _Running | None:
        if self._alone == id:
            self._alone = None
        return self._running.pop(id, None)

    def _end(self, running: _Running, now: float) -> Ending:
        outputs = running.handle.read_all()
        if not outputs or not outputs[0].generated_ids:
            return refusal(running.request.id, EmptyAnswer())
        answer, figures = outputs[0], running.handle.get_vlm_perf_metrics()
        return ending(
            running.request.id,
            text=self._decode(answer.generated_ids),
            reason=answer.finish_reason,
            prompt_tokens=figures.get_num_input_tokens(),
            answer_tokens=figures.get_num_generated_tokens(),
            logprob=fmean(answer.generated_log_probs) if self._logprobs else None,
            vision_s=figures.get_vision_encoding_duration().mean / 1000,
            first_token_s=(running.first_token or now) - running.admitted,
            total_s=now - running.admitted,
            tokens=list(zip(answer.generated_ids, answer.generated_log_probs, strict=True)) if self._tokens else None,
        )


def load(config: EngineConfig, pixels: int) -> Batching:
    """Load a model for continuous batching. Raises a `SetupError`."""
    folder, device = ModelFolder.open(config.model), Device(config.device, config.device_config)
    scheduler = scheduling(config)
    try:
        pipeline = genai.ContinuousBatchingPipeline(config.model, scheduler, device.name, device.settings)
    except FAULTS as error:
        raise ModelBroken(path=config.model, why=complaint(error)) from error
    inputs = InputMaker(folder, pipeline.get_tokenizer(), pipeline.get_config(), pixels, logprobs=config.logprobs)
    waves = Sharing(pipeline, inputs, config.max_num_seqs) if _shares(folder, config) else None
    options = {
        "scheduler": {name: getattr(scheduler, name) for name in _SCHEDULING},
        "device": device.options(),
        "holds_forms": inputs.holds_forms,
        "waves": waves is not None,
    }
    return Batching(pipeline, inputs, device.runtime("batching", options), config, waves)


def _shares(folder: ModelFolder, config: EngineConfig) -> bool:
    """Whether questions gain by being asked together. `generate` tells no tokens, only texts."""
    return folder.encodes_alone and registry.is_known() and not config.tokens


def scheduling(config: EngineConfig) -> genai.SchedulerConfig:
    """openvino-genai's settings. A long prompt is always split: unsplit, `step` raises for one that is too long."""
    scheduler = genai.SchedulerConfig()
    scheduler.dynamic_split_fuse = True
    scheduler.max_num_seqs = config.max_num_seqs
    scheduler.enable_prefix_caching = config.enable_prefix_caching
    if config.max_num_batched_tokens is not None:
        scheduler.max_num_batched_tokens = config.max_num_batched_tokens
    if config.cache_size is not None:
        scheduler.cache_size = config.cache_size
    return scheduler
