from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import openvino_genai as genai
import pytest

from pipeline.errors import ImageUnsupported, RowInvalid
from pipeline.prompts import Sampling
from workers.engine.batching import Batching, scheduling
from workers.engine.core import Ending
from workers.engine.inputs import Inputs
from workers.engine.requests import Completion, EngineConfig, Refusal, Request, Runtime
from workers.engine.tidying import EVERY

CONFIG = EngineConfig(model="none", max_num_seqs=4)
RUNTIME = Runtime(engine="batching", device="", device_name="", versions={}, options={})
FINISHED, IGNORED = genai.GenerationStatus.FINISHED, genai.GenerationStatus.IGNORED
FIGURES = SimpleNamespace(
    get_num_input_tokens=lambda: 9,
    get_num_generated_tokens=lambda: 2,
    get_vision_encoding_duration=lambda: SimpleNamespace(mean=5.0),
)
ANSWER = SimpleNamespace(
    generated_ids=[7, 8], generated_log_probs=[-1.0, -3.0], finish_reason=genai.GenerationFinishReason.STOP
)


class Handle:
    def __init__(self) -> None:
        self.status, self.cancelled, self.outputs = genai.GenerationStatus.RUNNING, False, [ANSWER]

    def get_status(self) -> genai.GenerationStatus:
        return self.status

    def can_read(self) -> bool:
        return bool(self.status == FINISHED)

    def read_all(self) -> list[Any]:
        assert self.status == FINISHED
        assert not self.cancelled
        return self.outputs

    def get_vlm_perf_metrics(self) -> Any:
        return FIGURES

    def cancel(self) -> None:
        self.cancelled = True


class Pipeline:
    """Plays a script: how many requests fit at once, and which prompts or pictures are refused."""

    def __init__(self, room: int = 100, refused: tuple[object, ...] = ()) -> None:
        self.room, self.refused = room, refused
        self.live: list[Handle] = []
        self.ids: list[int] = []
        self.seen: list[int] = []
        self.outputs: list[Any] = [ANSWER]
        self.tidied = 0

    def get_tokenizer(self) -> Any:
        return SimpleNamespace(decode=lambda ids: " ".join(map(str, ids)))

    def add_request(self, id: int, prompt: str, images: list[Any], config: Any) -> Handle:
        if prompt in self.refused or any(image in self.refused for image in images if isinstance(image, str)):
            raise RuntimeError("Check failed at x.cpp:1:\nthe reason\n")
        assert id not in self.ids
        self.ids.append(id)
        handle = Handle()
        handle.outputs = self.outputs
        self.live.append(handle)
        return handle

    def finish_chat(self) -> None:
        self.tidied += 1

    def step(self) -> None:
        running = [handle for handle in self.live if not handle.cancelled]
        self.seen.append(len(running))
        for place, handle in enumerate(running):
            handle.status = FINISHED if place < self.room else IGNORED
        self.live = []


class Maker:
    def make(self, request: Request) -> Inputs:
        picture: Any = f"picture {request.messages[0][1]}"
        return Inputs(request.messages[0][1], [picture], genai.GenerationConfig())


def build(pipeline: Pipeline, config: EngineConfig = CONFIG) -> Batching:
    maker: Any = Maker()
    return Batching(pipeline, maker, RUNTIME, config)


def ask(id: int, question: str = "?") -> Request:
    return Request(id=id, frames=(), messages=(("user", question),), sampling=Sampling())


def finish(core: Batching) -> list[Ending]:
    endings: list[Ending] = []
    while core.running:
        endings += core.step()
    return endings


def test_a_finished_request_is_a_completion() -> None:
    core = build(Pipeline())
    core.admit(ask(1))
    (ending,) = core.step()
    assert isinstance(ending, Completion)
    assert (ending.text, ending.finish_reason, ending.logprob) == ("7 8", "stop", -2.0)
    assert (ending.prompt_tokens, ending.answer_tokens, ending.vision_s) == (9, 2, 0.005)


def test_without_logprobs_there_is_no_figure() -> None:
    core = build(Pipeline(), EngineConfig(model="none", logprobs=False))
    core.admit(ask(1))
    (ending,) = core.step()
    assert isinstance(ending, Completion)
    assert ending.logprob is None


def test_what_found_no_room_is_tried_again_alone() -> None:
    pipeline = Pipeline(room=2)
    core = build(pipeline)
    for id in (1, 2, 3, 4):
        core.admit(ask(id))
    assert [ending.id for ending in core.step()] == [1, 2]
    assert core.full, "nothing may be admitted beside those that are tried alone"
    assert [ending.id for ending in finish(core) if isinstance(ending, Completion)] == [3, 4]
    assert pipeline.seen == [4, 1, 1]
    assert not core.full


def test_out_of_cache_is_what_fails_alone() -> None:
    pipeline = Pipeline(room=0)
    core = build(pipeline)
    core.admit(ask(1))
    (ending,) = finish(core)
    assert isinstance(ending, Refusal)
    assert ending.code == "out_of_cache"
    assert pipeline.seen == [1, 1]
    assert not core.full


@pytest.mark.parametrize("ids", [[], [[]]])
def test_no_tokens_are_no_answer(ids: list[Any]) -> None:
    pipeline = Pipeline()
    pipeline.outputs = [SimpleNamespace(generated_ids=[], generated_log_probs=[], finish_reason=None) for _ in ids]
    core = build(pipeline)
    core.admit(ask(1))
    (ending,) = core.step()
    assert isinstance(ending, Refusal)
    assert ending.code == "empty_answer"


def test_a_cancelled_request_is_neither_read_nor_tried_again() -> None:
    pipeline = Pipeline(room=1)
    core = build(pipeline)
    for id in (1, 2, 3):
        core.admit(ask(id))
    core.cancel([1])
    assert [ending.id for ending in core.step()] == [2]
    core.cancel([3, 99])
    assert core.running == 0
    assert not core.full


def test_cancelling_the_one_that_runs_alone_opens_the_door_again() -> None:
    core = build(Pipeline(room=0))
    core.admit(ask(1))
    core.step()
    core.step()
    assert core.full
    core.cancel([1])
    assert not core.full


def test_a_picture_is_blamed_when_a_plain_one_is_taken() -> None:
    pipeline = Pipeline(refused=("picture bad",))
    core = build(pipeline)
    with pytest.raises(ImageUnsupported, match="the reason"):
        core.admit(ask(1, "bad"))
    core.admit(ask(2))
    assert [ending.id for ending in core.step()] == [2]


def test_the_question_is_blamed_when_no_picture_helps() -> None:
    core = build(Pipeline(refused=("bad",)))
    with pytest.raises(RowInvalid, match="the reason"):
        core.admit(ask(1, "bad"))
    assert core.running == 0


def test_what_the_pipeline_keeps_of_prompts_is_let_go_now_and_then() -> None:
    pipeline = Pipeline()
    core = build(pipeline)
    for id in range(2 * EVERY + 1):
        core.admit(ask(id))
    assert pipeline.tidied == 3


def test_settings_reach_the_scheduler() -> None:
    scheduler = scheduling(
        EngineConfig(model="m", max_num_seqs=7, max_num_batched_tokens=99, cache_size=2, enable_prefix_caching=False)
    )
    assert (scheduler.max_num_seqs, scheduler.max_num_batched_tokens, scheduler.cache_size) == (7, 99, 2)
    assert not scheduler.enable_prefix_caching
    assert scheduling(CONFIG).cache_size == 0, "no size: the cache grows with what runs"
