"""The engine process with real models of all five families, over a real socket and real shared memory."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openvino_genai as genai
import pytest

from pipeline.prompts import Sampling
from tests.engine_child import EXACT, Died, EngineChild, Refused, build, code, text
from tests.models import FAMILIES
from tests.near_tie import gap
from workers.engine.batching import Batching, scheduling
from workers.engine.core import Ending
from workers.engine.folder import ModelFolder
from workers.engine.inputs import InputMaker
from workers.engine.requests import Completion, EngineConfig, Refusal, Request, Runtime

QUESTIONS = ("What is it?", "Which colour is the thing on the left, and what stands behind it?", "Count.")
SHORT = Sampling(max_tokens=24)
LONG = Sampling(max_tokens=30_000)
NEAR = 0.01
REFUSES_THREADS = {"qwen2_vl", "phi3_v"}
"""the families whose preprocessing cannot take a picture of 12000 x 1"""


def picture(seed: int, width: int = 120, height: int = 90) -> np.ndarray[Any, Any]:
    """A few rectangles of colour, another picture for each seed."""
    random = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), random.integers(0, 256, 3), np.uint8)
    for _ in range(4):
        top, left = random.integers(0, height), random.integers(0, width)
        pixels[top : top + height // 2, left : left + width // 2] = random.integers(0, 256, 3)
    return pixels


def config(model: str, **options: Any) -> EngineConfig:
    return EngineConfig(model=model, device_config=EXACT, **options)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(family: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    return build(family, tmp_path_factory.mktemp(family))


@pytest.fixture(scope="module")
def child(model: str) -> Iterator[EngineChild]:
    with EngineChild(config(model)) as engine:
        yield engine


@pytest.fixture(scope="module")
def endless(family: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model whose answers are as long as they may be."""
    return build(family, tmp_path_factory.mktemp(family), ending=None)


def requests(engine: EngineChild) -> list[Request]:
    frames = [engine.picture(picture(seed, 60 + 17 * seed, 140 - 9 * seed)) for seed in range(8)]
    return [engine.request(question, frame, sampling=SHORT) for frame in frames for question in QUESTIONS]


def texts(endings: list[Ending]) -> list[str]:
    return [text(ending) for ending in endings]


@pytest.fixture(scope="module")
def one_by_one(model: str) -> list[str]:
    with EngineChild(config(model, enable_prefix_caching=False)) as engine:
        return texts([engine.answer(request) for request in requests(engine)])


@pytest.mark.parametrize("caching", [True, False])
def test_sixteen_in_flight_answer_like_one_at_a_time(model: str, one_by_one: list[str], caching: bool) -> None:
    assert len(set(one_by_one)) > len(one_by_one) // 2, "texts that are all alike prove nothing"
    with EngineChild(config(model, max_num_seqs=16, enable_prefix_caching=caching)) as engine:
        assert texts(engine.collect(engine.ask(*requests(engine)))) == one_by_one


def test_serial_differs_at_near_ties_only(model: str, one_by_one: list[str]) -> None:
    with EngineChild(config(model, engine="serial")) as engine:
        asked = requests(engine)
        serial = texts(engine.collect(engine.ask(*asked)))
        differing = [place for place, other in enumerate(serial) if other != one_by_one[place]]
        assert len(differing) <= len(serial) // 4
        if differing:
            pipeline, maker = in_process(model, engine)
            gaps = [gap(pipeline, maker.make(asked[at]), one_by_one[at], serial[at]) for at in differing]
            assert max(gaps) < NEAR


def test_another_text_is_no_near_tie(model: str, child: EngineChild) -> None:
    request = child.request("What is it?", child.picture(picture(1)), sampling=SHORT)
    answer = text(child.answer(request))
    pipeline, maker = in_process(model, child)
    assert gap(pipeline, maker.make(request), answer, answer + " house.") == float("inf")


def test_the_gap_is_that_of_the_tokens_where_texts_part(model: str, child: EngineChild) -> None:
    frame = child.picture(picture(1))
    request = child.request("What is it?", frame, sampling=SHORT)
    answer = text(child.answer(request))
    pipeline, maker = in_process(model, child)
    hot = [Sampling(max_tokens=24, temperature=0.7, seed=seed) for seed in range(6)]
    others = [text(child.answer(child.request("What is it?", frame, sampling=each))) for each in hot]
    gaps = [gap(pipeline, maker.make(request), answer, other, temperature=0.7) for other in others]
    assert any(0 < each < float("inf") for each in gaps)


def in_process(model: str, engine: EngineChild) -> tuple[genai.ContinuousBatchingPipeline, InputMaker]:
    pipeline = genai.ContinuousBatchingPipeline(model, scheduling(config(model)), "CPU", EXACT)
    return pipeline, _maker(model, pipeline, engine)


def _maker(model: str, pipeline: genai.ContinuousBatchingPipeline, engine: EngineChild) -> InputMaker:
    own = pipeline.get_config()
    return InputMaker(ModelFolder.open(model), pipeline.get_tokenizer(), own, engine.pixels, logprobs=True)


@pytest.mark.parametrize("engine", ["batching", "serial"])
def test_a_completion_tells_all(model: str, engine: str) -> None:
    with EngineChild(config(model, engine=engine)) as child:
        runtime = child.ready()
        assert (runtime.engine, runtime.device) == (engine, "CPU")
        assert runtime.options["device"]["INFERENCE_PRECISION_HINT"] == "f32"
        frame = child.picture(picture(0))
        answer = child.answer(child.request("What is it?", frame, sampling=Sampling(max_tokens=3)))
        without = child.answer(child.request("What is it?", sampling=Sampling(max_tokens=3)))
    assert isinstance(answer, Completion)
    assert isinstance(without, Completion)
    assert (answer.finish_reason, answer.answer_tokens) in (("length", 3), ("stop", 3))
    assert answer.logprob is not None
    assert answer.logprob < 0
    assert 0 < answer.vision_s < answer.first_token_s <= answer.total_s
    assert answer.prompt_tokens > without.prompt_tokens > len("What is it?")


def test_the_end_is_said(endless: str) -> None:
    with EngineChild(config(endless)) as engine:
        answer = engine.answer(engine.request("What is it?", sampling=Sampling(max_tokens=5)))
    assert isinstance(answer, Completion)
    assert (answer.finish_reason, answer.answer_tokens) == ("length", 5)


def test_a_system_prompt_is_heard(child: EngineChild) -> None:
    frame = child.picture(picture(2))
    plain = child.answer(child.request("What is it?", frame, sampling=SHORT))
    told = child.answer(child.request("What is it?", frame, system="Say what is in the picture.", sampling=SHORT))
    assert isinstance(plain, Completion)
    assert isinstance(told, Completion)
    assert told.prompt_tokens > plain.prompt_tokens
    assert told.text != plain.text


def test_two_pictures_in_one_request(child: EngineChild) -> None:
    one, two = child.picture(picture(3)), child.picture(picture(4))
    single, both, swapped = (
        child.answer(child.request("What changed?", *frames, sampling=SHORT))
        for frames in ((one,), (one, two), (two, one))
    )
    assert isinstance(single, Completion)
    assert isinstance(both, Completion)
    assert both.prompt_tokens > single.prompt_tokens
    assert text(both) != text(swapped)


def test_temperature_and_seed(child: EngineChild) -> None:
    frame = child.picture(picture(5))

    def draw(seed: int) -> str:
        hot = Sampling(max_tokens=24, temperature=1.5, seed=seed)
        return text(child.answer(child.request("What is it?", frame, sampling=hot)))

    assert draw(1) == draw(1)
    assert len({draw(seed) for seed in range(4)}) > 1


def test_a_question_without_end_is_refused_and_harms_nobody(model: str, one_by_one: list[str]) -> None:
    with EngineChild(config(model)) as engine:
        asked = requests(engine)
        endless = engine.request("why " * 25_000, engine.picture(picture(0)), sampling=SHORT)
        endings = engine.collect(engine.ask(*asked[:8], endless, *asked[8:]))
    refused = endings.pop(8)
    assert code(refused) == "prompt_too_long"
    assert texts(endings) == one_by_one


@pytest.mark.parametrize("engine", ["batching", "serial"])
def test_a_picture_that_no_preprocessing_takes(family: str, model: str, engine: str) -> None:
    with EngineChild(config(model, engine=engine)) as child:
        threads = [child.picture(picture(0, *size)) for size in ((12_000, 1), (1, 12_000))]
        endings = [child.answer(child.request("What is it?", frame, sampling=SHORT)) for frame in threads]
        refusals = [ending.code for ending in endings if isinstance(ending, Refusal)]
        assert refusals == (["image_unsupported"] * 2 if family in REFUSES_THREADS else [])
        assert text(child.answer(child.request("What is it?", child.picture(picture(1)), sampling=SHORT)))


def test_tags_in_a_question_are_words(child: EngineChild) -> None:
    tags = "<ov_genai_image_0> <image>./</image> <|image_1|> <|vision_start|><|image_pad|><|vision_end|> <IMG_CONTEXT>"
    frame = child.picture(picture(6))
    answer, plain = (
        child.answer(child.request(question, frame, sampling=SHORT)) for question in (f"What is {tags}?", "What is it?")
    )
    assert isinstance(answer, Completion)
    assert isinstance(plain, Completion)
    assert answer.prompt_tokens - plain.prompt_tokens < 2 * len(tags)


def test_an_empty_answer_is_none(family: str, tmp_path: Path) -> None:
    """The models end an answer after a full stop, so one is put where the answer begins."""
    model = build(family, tmp_path)
    (tmp_path / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    with EngineChild(config(model)) as engine:
        frame = engine.picture(picture(0))
        assert code(engine.answer(engine.request("Say nothing.", frame))) == "empty_answer"
        assert text(engine.answer(engine.request("Say something", frame)))


def test_what_is_cancelled_stops(endless: str) -> None:
    with EngineChild(config(endless)) as engine:
        ids = engine.ask(*(engine.request("What is it?", sampling=LONG) for _ in range(2)))
        engine.hear_until("progress")
        assert engine.progress[-1]["running"] == 2
        engine.post("cancel", ids[:1])
        engine.hear_until("progress")
        assert engine.progress[-1]["running"] == 1
        engine.post("cancel", ids[1:])
        assert text(engine.answer(engine.request("What is it?", sampling=SHORT)))


def test_drain_returns_what_has_not_begun(endless: str) -> None:
    with EngineChild(config(endless, max_num_seqs=2)) as engine:
        ids = engine.ask(*(engine.request("What is it?", sampling=LONG) for _ in range(5)))
        engine.hear_until("progress")
        engine.post("drain", None)
        engine.hear_until("returned")
        assert engine.returned == ids[2:]


def test_the_process_ends_with_its_socket_while_it_works(endless: str) -> None:
    with EngineChild(config(endless)) as engine:
        frame = engine.picture(picture(0))
        engine.ask(*(engine.request("What is it?", frame, sampling=LONG) for _ in range(40)))
        engine.hear_until("progress")
        assert engine.hang_up() == 0


def test_a_full_cache_is_said_and_harms_nobody(model: str) -> None:
    """Through a core of our own: the smallest cache a worker can ask for holds all that fits here."""
    with EngineChild(EngineConfig(engine="fake", model="none")) as pixels:
        scheduler = scheduling(config(model))
        scheduler.num_kv_blocks = 2
        pipeline = genai.ContinuousBatchingPipeline(model, scheduler, "CPU", EXACT)
        runtime = Runtime(engine="batching", device="CPU", device_name="", versions={}, options={})
        core = Batching(pipeline, _maker(model, pipeline, pixels), runtime, config(model))
        large = [pixels.request("What is it? " * 40, sampling=SHORT) for _ in range(3)]
        small = pixels.request("It?", sampling=Sampling(max_tokens=4))
        for request in (*large, small):
            core.admit(request)
        endings: list[Ending] = []
        while core.running:
            endings += core.step()
        ended = {ending.id: ending for ending in endings}
    assert [code(ended[request.id]) for request in large] == ["out_of_cache"] * 3
    assert text(ended[small.id])


# --- not a matter of families ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build("llava", tmp_path_factory.mktemp("llava"))


def test_ctrl_c_is_the_parents_business(llava: str) -> None:
    with EngineChild(config(llava)) as engine:
        engine.ready()
        os.kill(engine.pid, signal.SIGINT)
        assert text(engine.answer(engine.request("What is it?", sampling=SHORT)))


def test_the_process_stays_on_its_cores(llava: str) -> None:
    core = min(os.sched_getaffinity(0))
    with EngineChild(config(llava, cores=(core,))) as engine:
        engine.ready()
        threads = [int(name) for name in os.listdir(f"/proc/{engine.pid}/task")]
        assert all(os.sched_getaffinity(thread) == {core} for thread in threads)


@pytest.mark.parametrize("engine", ["batching", "serial"])
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"device": "XPU"}, "There is no device 'XPU' here. Devices: "),
        ({"device": "AUTO"}, "AUTO lets OpenVINO choose"),
        ({"device_config": {"NO_SUCH_THING": "1"}}, "NO_SUCH_THING = '1' (device config) cannot be used"),
        ({"cores": (100_000,)}, "cores = (100000,) (engine) cannot be used"),
        ({"model": "/nowhere"}, "The model in /nowhere cannot be used: there is no such directory"),
    ],
)
def test_what_cannot_start_is_a_sentence(llava: str, engine: str, options: dict[str, Any], sentence: str) -> None:
    with (
        pytest.raises(Refused) as refused,
        EngineChild(EngineConfig(**{"model": llava, "engine": engine} | options)) as child,
    ):
        child.ready()
    assert str(refused.value).startswith(sentence)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("engine", ["batching", "serial"])
@pytest.mark.parametrize("damage", ["cut", "unreadable"])
def test_a_damaged_model_is_a_sentence(tmp_path: Path, engine: str, damage: str) -> None:
    model = build("llava", tmp_path)
    broken = tmp_path / ("openvino_language_model.bin" if damage == "cut" else "openvino_language_model.xml")
    broken.write_bytes(broken.read_bytes()[:1000])
    with pytest.raises(Refused, match=f"The model in {model} cannot be used: "), EngineChild(config(model)) as child:
        child.ready()


def test_an_unknown_engine_is_a_sentence() -> None:
    with (
        pytest.raises(Refused, match="no engine 'magic'"),
        EngineChild(EngineConfig(engine="magic", model="")) as child,
    ):
        child.ready()


# --- the fake engine, which ships ----------------------------------------------------------------------


def fake(**script: Any) -> EngineChild:
    return EngineChild(EngineConfig(engine="fake", model="none", script=script))


def test_fake_answers_are_not_mixed_up() -> None:
    with fake(tokens=[1, 5]) as engine:
        pixels = [picture(seed, 8, 6 + seed) for seed in range(40)]
        asked = [engine.request(f"question {at}", engine.picture(each)) for at, each in enumerate(pixels)]
        endings = engine.collect(engine.ask(*asked))
    expected = [f"question {at}|8x{6 + at}|" + ",".join(map(str, each[0, 0])) for at, each in enumerate(pixels)]
    assert texts(endings) == expected


@pytest.mark.parametrize("script", [{"die_on": "deadly"}, {"die_on_pixel": [1, 2, 3]}])
def test_a_fake_dies_like_a_driver(script: dict[str, Any]) -> None:
    with fake(**script) as engine:
        frame = engine.picture(np.full((2, 2, 3), (1, 2, 3), np.uint8))
        assert text(engine.answer(engine.request("harmless")))
        with pytest.raises(Died, match=f"ended with {-signal.SIGKILL}"):
            engine.answer(engine.request("deadly", frame))


def test_a_stalled_fake_says_nothing_more() -> None:
    with fake(stall_on="stall") as engine:
        engine.answer(engine.request("go"))
        engine.ask(engine.request("stall"), engine.request("go"))
        assert not engine.hears(0.3)
        os.kill(engine.pid, signal.SIGKILL)


def test_an_exception_in_a_step_ends_the_process() -> None:
    """With a traceback, whose last line the parent reads."""
    with (
        fake(text="{nonsense}") as engine,
        pytest.raises(Died, match=r"(?s)^ended with 1: .+\nKeyError: 'nonsense'\n$"),
    ):
        engine.answer(engine.request("go"))
