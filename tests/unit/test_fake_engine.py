from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipeline.prompts import Prompt, Sampling
from workers.engine.core import Ending
from workers.engine.fake import Fake
from workers.engine.requests import Completion, EngineConfig, Frame, Refusal, Request
from workers.engine.waves import Broken

Ask = Callable[..., Request]
_ids = itertools.count()


@pytest.fixture
def pixels() -> Iterator[int]:
    fd = os.memfd_create("pixels")
    os.pwrite(fd, bytes([1, 2, 3]), 0)
    os.pwrite(fd, bytes([200, 100, 50]), 4096)
    yield fd
    os.close(fd)


def fake(pixels: int, places: int = 4, **script: Any) -> Fake:
    return Fake(EngineConfig(engine="fake", model="none", max_num_seqs=places, script=script), pixels)


def ask(question: str, *frames: Frame, max_tokens: int = 128) -> Request:
    prompt = Prompt.ask(question, sampling=Sampling(max_tokens=max_tokens))
    return Request(id=next(_ids), frames=frames, messages=prompt.messages, sampling=prompt.sampling)


def run(core: Fake) -> list[Ending]:
    endings: list[Ending] = []
    while core.running:
        endings += core.step()
    return endings


def test_the_answer_names_question_size_and_first_pixel(pixels: int) -> None:
    core = fake(pixels)
    core.admit(ask("one", Frame(offset=0, width=3, height=2)))
    core.admit(ask("two", Frame(offset=4096, width=640, height=480)))
    core.admit(ask("three"))
    texts = [ending.text for ending in run(core) if isinstance(ending, Completion)]
    assert texts == ["one|3x2|1,2,3", "two|640x480|200,100,50", "three|0x0|"]


def test_it_is_full_at_max_num_seqs_and_every_step_gives_each_a_token(pixels: int) -> None:
    core = fake(pixels, places=2, tokens=[3, 3])
    core.admit(ask("one"))
    found = [core.full]
    core.admit(ask("two"))
    assert [*found, core.full] == [False, True]
    assert [len(core.step()) for _ in range(3)] == [0, 0, 2]
    assert core.running == 0


def test_answers_differ_in_length_but_not_from_run_to_run(pixels: int) -> None:
    def lengths() -> list[int]:
        core = fake(pixels, places=200, tokens=[1, 9])
        for number in range(200):
            core.admit(ask(f"question {number}"))
        found = {ending.text: ending.answer_tokens for ending in run(core) if isinstance(ending, Completion)}
        return [found[text] for text in sorted(found)]

    assert lengths() == lengths()
    assert set(lengths()) == set(range(1, 10))


def test_an_answer_ends_at_max_tokens(pixels: int) -> None:
    core = fake(pixels, tokens=[5, 5])
    core.admit(ask("one", max_tokens=2))
    (ending,) = run(core)
    assert isinstance(ending, Completion)
    assert (ending.finish_reason, ending.answer_tokens) == ("length", 2)


@pytest.mark.parametrize(("script", "code"), [("ignore_on", "out_of_cache"), ("empty_on", "empty_answer")])
def test_scripted_refusals(pixels: int, script: str, code: str) -> None:
    core = Fake(EngineConfig(engine="fake", model="none", script={script: "bad"}), pixels)
    good, bad = ask("good"), ask("a bad one")
    core.admit(good)
    core.admit(bad)
    endings = {ending.id: ending for ending in run(core)}
    refused = endings[bad.id]
    assert isinstance(endings[good.id], Completion)
    assert isinstance(refused, Refusal)
    assert refused.code == code


def test_cancelled_requests_are_gone(pixels: int) -> None:
    core = fake(pixels, tokens=[2, 2])
    stays, goes = ask("stays"), ask("goes")
    core.admit(stays)
    core.admit(goes)
    core.step()
    core.cancel([goes.id, 10**9])
    assert [ending.id for ending in run(core)] == [stays.id]


def test_a_wave_encodes_its_picture_once_and_answers_alike(pixels: int) -> None:
    frame = Frame(offset=4096, width=2, height=2)
    questions = ("one", "two", "three")
    core, single = fake(pixels, tokens=[1, 4], vision_s=0.01), fake(pixels, tokens=[1, 4])
    core.show([ask(question, frame) for question in questions])
    endings = core.answer()
    for question in questions:
        single.admit(ask(question, frame))
    answers = [
        {ending.text: ending for ending in made if isinstance(ending, Completion)} for made in (endings, run(single))
    ]
    together, alone = answers
    assert {text: ending.answer_tokens for text, ending in together.items()} == {
        text: ending.answer_tokens for text, ending in alone.items()
    }
    assert sum(ending.vision_s for ending in together.values()) < 0.02
    assert core.running == 0


def test_a_wave_with_what_has_no_room_is_broken(pixels: int) -> None:
    core = fake(pixels, ignore_on="bad")
    frame = Frame(offset=0, width=2, height=2)
    core.show([ask("good", frame), ask("bad", frame)])
    with pytest.raises(Broken):
        core.answer()
    assert core.running == 0
