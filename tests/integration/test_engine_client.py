"""workers.engine.client: futures of a real engine process that is cancelled, drained, killed and stalled."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ModelChangedMeanwhile, SetupError
from pipeline.models.builds import stamp
from pipeline.prompts import Sampling
from workers.child import Refused
from workers.engine.client import Engine, EngineDied
from workers.engine.requests import Completion, EngineConfig, Frame, Request

Start = Callable[..., Engine]


@pytest.fixture
def pixels() -> Iterator[int]:
    file = os.memfd_create("pixels")
    os.ftruncate(file, 4096)
    yield file
    os.close(file)


@pytest.fixture
def start(pixels: int) -> Iterator[Start]:
    engines: list[Engine] = []

    def begin(stall_s: float = 60.0, model: str = "", engine: str = "fake", **script: Any) -> Engine:
        config = EngineConfig(engine=engine, model=model, max_num_seqs=2, script=script)
        engines.append(Engine(config, pixels, stall_s=stall_s))
        return engines[-1]

    yield begin
    for engine in engines:
        engine.close()


def request(id: int, question: str = "What?") -> Request:
    return Request(id=id, frames=(), messages=(("user", question),), sampling=Sampling())


def until(engine: Engine, happened: Callable[[], bool]) -> None:
    while not happened():
        engine.tend()
        if engine.child.wire:
            engine.child.wire.wait(0.05)
        engine.receive()


def results(engine: Engine, futures: list[Future[Completion]]) -> list[str]:
    until(engine, lambda: all(future.done() for future in futures))
    return [future.result().text for future in futures]


def test_what_is_asked_before_it_is_ready_waits(start: Start) -> None:
    engine = start(load_s=0.1, text="{question}")
    futures = [engine.submit(request(id, f"Question {id}?")) for id in range(6)]
    assert engine.runtime is None
    assert results(engine, futures) == [f"Question {id}?" for id in range(6)]
    assert engine.runtime is not None and engine.runtime.engine == "fake"
    assert engine.figures.load_s >= 0.1


def test_a_refusal_is_an_exception_with_its_code(start: Start) -> None:
    engine = start(empty_on="hush")
    quiet, loud = engine.submit(request(1, "hush")), engine.submit(request(2))
    until(engine, lambda: quiet.done() and loud.done())
    refused = quiet.exception()
    assert isinstance(refused, Refused) and refused.code == "empty_answer"
    assert loud.exception() is None


def test_cancelling_reaches_what_waits_and_what_runs(start: Start) -> None:
    engine = start(step_s=0.02, tokens=(100, 100))
    futures = {id: engine.submit(request(id)) for id in range(1, 5)}
    engine.cancel([4])  # not sent yet
    until(engine, lambda: engine.child.ready is not None)
    engine.cancel([1, 3])  # one runs, one waits in the process
    assert all(futures[id].cancelled() for id in (1, 3, 4))
    until(engine, futures[2].done)
    assert futures[2].result().answer_tokens == 100


def test_draining_gives_up_what_has_not_begun(start: Start) -> None:
    engine = start(step_s=0.02, tokens=(100, 100))
    futures = [engine.submit(request(id)) for id in range(5)]
    until(engine, lambda: engine.figures.running == 2)
    engine.drain()
    until(engine, lambda: all(future.done() for future in futures))
    assert [future.cancelled() for future in futures] == [False, False, True, True, True]


def test_a_death_fails_what_was_sent_and_a_new_process_answers(start: Start) -> None:
    engine = start(step_s=0.01, tokens=(1000, 1000))
    lost = [engine.submit(request(id)) for id in range(3)]
    until(engine, lambda: engine.child.ready is not None)
    first = engine.child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(engine, lambda: all(future.done() for future in lost))
    for future in lost:
        died = future.exception()
        assert isinstance(died, EngineDied) and not died.stalled
        assert "SIGKILL" in str(died)
    until(engine, lambda: engine.child.ready is not None)
    assert engine.child.pid != first


def test_an_engine_that_starts_again_on_other_files_is_asked_nothing(pixels: int, tmp_path: Path) -> None:
    weights = tmp_path / "openvino_language_model.bin"
    weights.write_bytes(b"old")
    config = EngineConfig(engine="fake", model=str(tmp_path), stamp=stamp(tmp_path))
    with closing(Engine(config, pixels, stall_s=60.0)) as engine:
        assert results(engine, [engine.submit(request(1))])
        weights.write_bytes(b"other")
        assert results(engine, [engine.submit(request(2))]), "it holds what it has loaded"
        assert engine.child.pid
        os.kill(engine.child.pid, signal.SIGKILL)
        lost = engine.submit(request(3))
        with pytest.raises(ModelChangedMeanwhile, match=f"files of the model in {tmp_path} have changed"):
            until(engine, lambda: False)
        assert not lost.done() or lost.exception()


def test_silence_with_work_inside_is_a_stall(start: Start) -> None:
    engine = start(stall_s=0.3, stall_on="hang")
    hanging = engine.submit(request(1, "hang"))
    until(engine, hanging.done)
    died = hanging.exception()
    assert isinstance(died, EngineDied) and died.stalled
    assert results(engine, [engine.submit(request(2))])


def together(*questions: str) -> list[Request]:
    frame = Frame(offset=0, width=1, height=1)
    return [replace(request(id, question), frames=(frame,)) for id, question in enumerate(questions)]


def test_a_wave_that_gets_on_is_no_stall(start: Start) -> None:
    engine = start(stall_s=1.6, step_s=0.05, tokens=(80, 80))
    futures = engine.submit_all(together("What?", "Where?"))
    results(engine, futures)
    assert len({future.result().vision_s for future in futures}) == 1, "they rode together"
    assert all(future.result().total_s > 2 * engine.stall_s for future in futures)


def test_a_wave_that_hangs_is_a_stall(start: Start) -> None:
    engine = start(stall_s=1.2, stall_on="hang")
    futures = engine.submit_all(together("hang", "Where?"))
    until(engine, lambda: all(future.done() for future in futures))
    died = [future.exception() for future in futures]
    assert all(isinstance(each, EngineDied) and each.stalled for each in died)


def test_silence_without_work_is_none(start: Start) -> None:
    engine = start(stall_s=0.1)
    assert results(engine, [engine.submit(request(1))])
    pid = engine.child.pid
    assert engine.child.wire is not None
    assert not engine.child.wire.wait(0.3)
    assert results(engine, [engine.submit(request(2))])
    assert engine.child.pid == pid


def test_an_engine_that_cannot_start_says_why(start: Start) -> None:
    engine = start(engine="batching", model="/nowhere")
    with pytest.raises(SetupError, match="there is no such directory"):
        until(engine, lambda: False)
