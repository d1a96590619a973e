"""Waves with real models of all five families: the same answers as one at a time, whatever rides beside them."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import openvino_genai as genai
import pytest

from pipeline.prompts import Sampling
from tests.engine_child import EXACT, Died, EngineChild, build, text
from tests.models import FAMILIES
from workers.engine.batching import Batching, _shares, scheduling
from workers.engine.core import Ending
from workers.engine.folder import ModelFolder
from workers.engine.inputs import InputMaker
from workers.engine.requests import Completion, EngineConfig, Frame, Refusal, Request, Runtime
from workers.engine.sharing import Sharing
from workers.engine.tidying import tidy
from workers.engine.waves import Broken
from workers.pixels import Pixels

Image = np.ndarray[Any, Any]
RUNTIME = Runtime(engine="batching", device="CPU", device_name="", versions={}, options={})
QUESTIONS = ("What is it?", "Which colour is the thing on the left, and what stands behind it?", "Count.", "Is it day?")
SHORT = Sampling(max_tokens=24)
PLACES = 12


def picture(seed: int, width: int = 120, height: int = 90) -> Image:
    random = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), random.integers(0, 256, 3), np.uint8)
    for _ in range(4):
        top, left = random.integers(0, height), random.integers(0, width)
        pixels[top : top + height // 2, left : left + width // 2] = random.integers(0, 256, 3)
    return pixels


class Bench:
    """A batching core in this process, with pictures in shared memory and a count of what it encodes."""

    def __init__(self, model: str, **options: Any) -> None:
        self.config = EngineConfig(model=model, device_config=EXACT, max_num_seqs=PLACES, **options)
        self._memory = Pixels(64, 1 << 20, budget=1 << 40)
        self.pipeline = genai.ContinuousBatchingPipeline(model, self.scheduler(), "CPU", EXACT)
        tokenizer, own = self.pipeline.get_tokenizer(), self.pipeline.get_config()
        self.maker = InputMaker(ModelFolder.open(model), tokenizer, own, self._memory.fd, logprobs=True)
        self.waves = Sharing(self.pipeline, self.maker, PLACES)
        self.core = Batching(self.pipeline, self.maker, RUNTIME, self.config, self.waves)
        self._ids = itertools.count()

    def scheduler(self) -> genai.SchedulerConfig:
        return scheduling(self.config)

    def close(self) -> None:
        self._memory.close()

    def frame(self, image: Image) -> Frame:
        offset = self._memory.take()
        assert offset is not None
        os.pwrite(self._memory.fd, image.tobytes(), offset)
        return Frame(offset=offset, width=image.shape[1], height=image.shape[0])

    def ask(self, question: str, *frames: Frame, sampling: Sampling = SHORT, **more: Any) -> Request:
        given: dict[str, Any] = {"frames": frames, "messages": (("user", question),), "sampling": sampling}
        return Request(id=next(self._ids), **given | more)

    def singly(self, *requests: Request) -> list[Ending]:
        """One request at a time."""
        endings: list[Ending] = []
        for request in requests:
            self.core.admit(request)
            while self.core.running:
                endings += self.core.step()
        return endings

    def wave(self, *groups: list[Request]) -> list[Ending]:
        refused = [ending for group in groups if self.waves.fits(group) for ending in self.waves.show(group)]
        ended = {ending.id: ending for ending in (*refused, *self.waves.answer())}
        return [ended[request.id] for group in groups for request in group]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    made: dict[str, str] = {}

    def model(family: str) -> str:
        if family not in made:
            made[family] = build(family, tmp_path_factory.mktemp(family))
        return made[family]

    return model


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def bench(family: str, models: Callable[[str], str]) -> Iterator[Bench]:
    bench = Bench(models(family))
    yield bench
    bench.close()


def again(bench: Bench, requests: list[Request]) -> list[Request]:
    return [bench.ask("", messages=each.messages, frames=each.frames, sampling=each.sampling) for each in requests]


def texts(endings: list[Ending]) -> list[str]:
    return [text(ending) for ending in endings]


def test_a_wave_answers_like_one_at_a_time(bench: Bench) -> None:
    groups = []
    for seed in range(3):
        frame = bench.frame(picture(seed, 60 + 17 * seed, 140 - 9 * seed))
        groups.append([bench.ask(question, frame) for question in QUESTIONS])
    alone = bench.singly(*itertools.chain(*groups))
    assert len(set(texts(alone))) > 6, "texts that are all alike prove nothing"
    together = bench.wave(*(again(bench, group) for group in groups))
    assert texts(together) == texts(alone)
    for one, other in zip(together, alone, strict=True):
        assert isinstance(one, Completion)
        assert isinstance(other, Completion)
        assert one.prompt_tokens == other.prompt_tokens, "the prompt is the same to the token"
        assert (one.finish_reason, one.answer_tokens) == (other.finish_reason, other.answer_tokens)
        assert one.logprob == pytest.approx(other.logprob, abs=1e-4)
        assert 0 < one.vision_s < one.first_token_s <= one.total_s


def test_a_wave_without_prefix_caching_answers_alike(models: Callable[[str], str], family: str) -> None:
    bench = Bench(models(family), enable_prefix_caching=False)
    frame = bench.frame(picture(1))
    group = [bench.ask(question, frame) for question in QUESTIONS]
    alone = bench.singly(*group)
    assert texts(bench.wave(again(bench, group))) == texts(alone)
    bench.close()


def test_system_prompts_conversations_and_two_pictures_are_said_as_ever(bench: Bench) -> None:
    one, two = bench.frame(picture(3)), bench.frame(picture(4, 77, 140))
    conversations = (
        (("system", "Say what is in the picture."), ("user", "What is it?")),
        (("user", "What is red?"), ("assistant", "A car."), ("user", " And blue?\n")),
    )
    first = [bench.ask("", one, messages=messages) for messages in conversations]
    second = [bench.ask(question, one, two) for question in QUESTIONS[:2]]
    third = [bench.ask(question, two, one) for question in QUESTIONS[:2]]
    alone = bench.singly(*first, *second, *third)
    assert len(set(texts(alone[2:]))) == 4
    together = bench.wave(again(bench, first), again(bench, second), again(bench, third))
    assert texts(together) == texts(alone)


def test_each_question_of_a_wave_keeps_its_own_settings(bench: Bench) -> None:
    frame = bench.frame(picture(5))
    hot = [Sampling(max_tokens=24, temperature=1.5, seed=seed) for seed in range(3)]
    samplings = (*hot, Sampling(max_tokens=3), Sampling(max_tokens=30))
    group = [bench.ask("What is it?", frame, sampling=sampling) for sampling in samplings]
    held = bench.ask("What is it?", frame, form={"kind": "choices", "choices": ["red", "blue"]})
    alone = bench.singly(*group, held)
    assert len(set(texts(alone))) == 6
    *free, chosen = bench.wave([*again(bench, group), replace(held, id=next(bench._ids))])
    assert texts([*free, chosen]) == texts(alone)
    assert text(chosen).strip() in ("red", "blue")


def test_a_picture_is_encoded_once(bench: Bench, family: str) -> None:
    """As openvino-genai tells it: encoding takes no time where nothing is to be encoded."""
    frame = bench.frame(picture(6, 400, 300))
    group = [bench.ask(question, frame) for question in QUESTIONS]
    spent: list[float] = []
    generate = bench.waves._generate

    def watched(*args: Any) -> Any:
        results = generate(*args)
        spent.extend(result.perf_metrics.get_vision_encoding_duration().mean for result in results)
        return results

    bench.waves._generate = watched  # type: ignore[assignment, method-assign]
    endings = bench.wave(group)
    bench.wave(again(bench, group))
    bench.waves._generate = generate  # type: ignore[method-assign]
    (first, *others), (later, *_) = spent[:5], spent[5:]
    assert all(other < first / 10 for other in others)
    assert later > max(others) * 10, "when a wave has ended, nothing of it is kept"
    shares = [ending.vision_s for ending in endings if isinstance(ending, Completion)]
    assert sum(shares) == pytest.approx(first / 1000)


def test_pictures_that_differ_where_nobody_looks_are_told_apart(bench: Bench) -> None:
    """openvino-genai takes them for one. Wherever a single byte differs, each gets its own answer or waits."""
    base = picture(7, 640, 480)
    inverted = base.copy()
    words = inverted.reshape(-1, 8)
    hidden = np.arange(len(words) - 1) % 8 != 0
    words[:-1][hidden] = 255 - words[:-1][hidden]
    one, other = ([bench.ask(question, bench.frame(image)) for question in QUESTIONS[:1]] for image in (base, inverted))
    alone = texts(bench.singly(*one, *other))
    assert alone[0] != alone[1]
    assert bench.waves.fits(again(bench, one))
    bench.waves.show(again(bench, one))
    assert not bench.waves.fits(other), "if they rode together, the second would be answered as the first"
    twin = bench.ask(QUESTIONS[0], bench.frame(base))
    assert bench.waves.fits([twin]), "an equal picture is no other one"
    bench.waves.answer()
    assert bench.waves.fits(other)
    assert texts(bench.wave(again(bench, other))) == alone[1:]


def test_a_refused_question_leaves_the_others_in_their_wave(bench: Bench) -> None:
    frame = bench.frame(picture(8))
    good = [bench.ask(question, frame) for question in QUESTIONS[:2]]
    endless = bench.ask("why " * 25_000, frame)
    first, refused, last = bench.wave([good[0], endless, good[1]])
    assert isinstance(refused, Refusal)
    assert refused.code == "prompt_too_long"
    assert texts([first, last]) == texts(bench.singly(*again(bench, good)))


def test_a_picture_that_no_preprocessing_takes_breaks_only_its_own_group(bench: Bench) -> None:
    frame, bad = bench.frame(picture(9)), bench.frame(picture(11))
    good = [bench.ask(question, frame) for question in QUESTIONS[:2]]
    alone = texts(bench.singly(*good))
    poisoned, repeated = bench.ask("What?", bad), again(bench, good)
    images = bench.maker.images
    nothing = [ov.Tensor(np.zeros(5, np.uint8))]
    bench.maker.images = lambda request: nothing if request is poisoned else images(request)  # type: ignore[method-assign]
    bench.waves.show(repeated)
    with pytest.raises(Broken):
        bench.waves.show([poisoned])
    bench.maker.images = images  # type: ignore[method-assign]
    assert texts(bench.waves.answer()) == alone
    assert texts(bench.singly(*again(bench, good))) == alone


def test_a_failure_inside_a_step_is_fatal(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process must not go on with it: openvino-genai may have lost what other threads still use."""

    def fail(*args: Any) -> Any:
        raise RuntimeError("EBNF parser error")

    bench.waves.show([bench.ask("What?", bench.frame(picture(12)))])
    monkeypatch.setattr(bench.waves, "_generate", fail)
    with pytest.raises(RuntimeError, match="EBNF"):
        bench.waves.answer()


def test_tidying_disturbs_nothing_that_runs(bench: Bench) -> None:
    requests = [bench.ask(question, bench.frame(picture(10))) for question in QUESTIONS]
    alone = texts(bench.singly(*requests))
    repeated = again(bench, requests)
    endings: dict[int, Ending] = {}
    for request in repeated:
        bench.core.admit(request)
        tidy(bench.pipeline)
    while bench.core.running:
        endings |= {ending.id: ending for ending in bench.core.step()}
        tidy(bench.pipeline)
    assert texts([endings[request.id] for request in repeated]) == alone


def test_waves_shrink_when_the_cache_has_no_room_and_grow_again(tmp_path: Path) -> None:
    class Small(Bench):
        def scheduler(self) -> genai.SchedulerConfig:
            scheduler = super().scheduler()
            scheduler.num_kv_blocks = 3
            return scheduler

    bench = Small(build("llava", tmp_path, ending=None))
    frame = bench.frame(picture(1))
    with pytest.raises(Broken):
        bench.wave([bench.ask("It?", frame, sampling=Sampling(max_tokens=200)) for _ in range(PLACES)])
    assert bench.waves.most == PLACES // 2
    bench.wave([bench.ask("It?", frame, sampling=Sampling(max_tokens=2)) for _ in range(2)])
    assert bench.waves.most == PLACES // 2 + 1
    bench.close()


def test_waves_are_for_families_that_gain(models: Callable[[str], str], family: str) -> None:
    folder = ModelFolder.open(models(family))
    config = EngineConfig(model="")
    assert _shares(folder, config) is (family != "qwen2_vl")
    assert not _shares(folder, EngineConfig(model="", tokens=True))


def test_no_waves_with_a_registry_nobody_read(models: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(genai, "__version__", "2027.1.0.0-1-abc")
    assert not _shares(ModelFolder.open(models("llava")), EngineConfig(model=""))


# --- in a process of its own ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def llava(models: Callable[[str], str]) -> str:
    return models("llava")


def config(model: str, **options: Any) -> EngineConfig:
    return EngineConfig(model=model, device_config=EXACT, **options)


def mixed(child: EngineChild) -> list[Request]:
    """Groups of three, with single ones between them, and two without a picture."""
    asked = []
    for seed in range(6):
        frame, lone = child.picture(picture(seed)), child.picture(picture(100 + seed))
        asked += [child.request(question, frame, sampling=SHORT) for question in QUESTIONS[:3]]
        asked.append(child.request(QUESTIONS[3], lone, sampling=SHORT))
    asked += [child.request(question, sampling=SHORT) for question in QUESTIONS[:2]]
    return asked


def test_groups_and_singles_get_the_answers_they_get_alone(models: Callable[[str], str], family: str) -> None:
    with EngineChild(config(models(family), max_num_seqs=8)) as child:
        requests = mixed(child)
        alone = texts([child.answer(request) for request in requests])
        repeated = mixed(child)
        endings = child.collect(child.ask(*repeated))
    assert texts(endings) == alone
    # In a wave, each has an equal part of the encoding.
    times = [ending.vision_s for ending in endings if isinstance(ending, Completion)]
    shares = {len(set(times[start : start + 3])) for start in range(0, 24, 4)}
    assert shares != {1} if family == "qwen2_vl" else shares == {1}


def test_a_wave_is_progress(llava: str) -> None:
    """What the parent hears while nothing ends: else it would take a long wave for a hanging engine."""
    endless = build("llava", Path(llava).parent / "endless", ending=None)
    with EngineChild(config(endless)) as child:
        frame = child.picture(picture(0))
        long = Sampling(max_tokens=3000)
        ids = child.ask(*(child.request("What is it?", frame, sampling=long) for _ in range(4)))
        child.hear_until("progress")
        assert child.progress[-1]["running"] == 4
        child.post("ask", [child.request("And?", sampling=SHORT).wire()])
        child.post("drain", None)
        child.hear_until("returned")
        assert len(child.returned) == 1, "drain is heard while the wave runs"
        child.post("cancel", ids[:1])
        assert child.hang_up() == 0, "and so is the parent's end"


def test_an_engine_that_is_killed_in_a_wave_has_told_nothing_of_it(llava: str) -> None:
    endless = build("llava", Path(llava).parent / "endless too", ending=None)
    with EngineChild(config(endless)) as child:
        frame = child.picture(picture(0))
        ids = child.ask(*(child.request("What is it?", frame, sampling=Sampling(max_tokens=3000)) for _ in range(4)))
        child.hear_until("progress")
        os.kill(child.pid, signal.SIGKILL)
        with pytest.raises(Died):
            child.collect(ids)
