from __future__ import annotations

import socket
from collections.abc import Collection, Iterator
from typing import Any

import pytest

from pipeline.errors import PromptTooLong
from pipeline.prompts import Sampling
from workers.engine.core import Ending
from workers.engine.loop import ADMISSION_S, PROGRESS_S, Loop
from workers.engine.requests import Completion, Request, Runtime
from workers.wire import Closed, Wire


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


class Core:
    """Ends everything in the step after its admission, which takes `cost` seconds."""

    def __init__(self, clock: Clock, cost: float, places: int) -> None:
        self.runtime = Runtime(engine="stub", device="", device_name="", versions={}, options={})
        self.clock, self.cost, self.places = clock, cost, places
        self.held: list[int] = []
        self.admitted: list[int] = []
        self.batches: list[list[int]] = []

    @property
    def running(self) -> int:
        return len(self.held)

    @property
    def full(self) -> bool:
        return self.running >= self.places

    def admit(self, request: Request) -> None:
        if request.messages[0][1] == "too long":
            raise PromptTooLong(tokens=2, limit=1)
        self.clock.time += self.cost
        self.held.append(request.id)
        self.admitted.append(request.id)

    def step(self) -> list[Ending]:
        self.batches.append(self.held)
        done, self.held = self.held, []
        return [_completion(id) for id in done]

    def cancel(self, ids: Collection[int]) -> None:
        self.held = [id for id in self.held if id not in ids]


class House:
    """A loop, its core, and the parent's end of the wire."""

    def __init__(self, cost: float = 0.0, places: int = 16) -> None:
        ours, theirs = socket.socketpair()
        self.clock = Clock()
        self.parent = Wire(ours)
        self.core = Core(self.clock, cost, places)
        self.wire = Wire(theirs)
        self.loop = Loop(self.wire, self.core, now=self.clock)

    def ask(self, *ids: int, question: str = "?") -> None:
        self.parent.post("ask", [_request(id, question).wire() for id in ids])

    def told(self) -> list[tuple[str, Any]]:
        return self.parent.receive()


def _request(id: int, question: str) -> Request:
    return Request(id=id, frames=(), messages=(("user", question),), sampling=Sampling())


def _completion(id: int) -> Completion:
    return Completion(
        id=id,
        text="yes",
        finish_reason="stop",
        prompt_tokens=1,
        answer_tokens=1,
        logprob=None,
        vision_s=0.0,
        first_token_s=0.0,
        total_s=0.0,
    )


@pytest.fixture
def houses() -> Iterator[list[House]]:
    built: list[House] = []
    yield built
    for house in built:
        house.parent.close()
        house.wire.close()


def build(houses: list[House], **options: Any) -> House:
    houses.append(House(**options))
    return houses[-1]


def test_all_that_ended_in_a_step_is_one_message(houses: list[House]) -> None:
    house = build(houses)
    house.ask(1, 2, 3)
    house.loop.turn()
    (body,) = (body for kind, body in house.told() if kind == "done")
    assert [item["id"] for item in body] == [1, 2, 3]


@pytest.mark.parametrize(("cost", "admitted"), [(ADMISSION_S * 3, 1), (ADMISSION_S * 0.6, 2), (0.0, 8)])
def test_a_step_waits_for_one_picture_or_the_budget(houses: list[House], cost: float, admitted: int) -> None:
    house = build(houses, cost=cost)
    house.ask(*range(8))
    house.loop.turn()
    assert len(house.core.batches[0]) == admitted


def test_no_more_is_admitted_than_there_are_places(houses: list[House]) -> None:
    house = build(houses, places=2)
    house.ask(1, 2, 3)
    house.loop.turn()
    assert house.core.batches == [[1, 2]]


def test_a_refused_request_harms_no_other(houses: list[House]) -> None:
    house = build(houses)
    house.ask(1)
    house.ask(2, question="too long")
    house.ask(3)
    house.loop.turn()
    told = dict(house.told())
    assert [item["id"] for item in told["done"]] == [1, 3]
    assert [(item["id"], item["code"]) for item in told["failed"]] == [(2, "prompt_too_long")]


def test_a_refusal_is_told_also_when_nothing_runs(houses: list[House]) -> None:
    house = build(houses)
    house.ask(2, question="too long")
    house.loop.turn()
    assert [kind for kind, _ in house.told()] == ["progress", "failed"]


def test_cancelled_requests_are_not_begun(houses: list[House]) -> None:
    house = build(houses)
    house.ask(1, 2)
    house.parent.post("cancel", [1])
    house.loop.turn()
    assert house.core.admitted == [2]


def test_drain_gives_back_what_has_not_begun(houses: list[House]) -> None:
    house = build(houses, places=1)
    house.ask(1, 2, 3)
    house.loop.turn()
    house.parent.post("drain", None)
    house.loop.turn()
    told = [message for message in house.told() if message[0] != "progress"]
    assert told == [("done", [_completion(1).wire()]), ("returned", [2, 3])]


def test_progress_is_told_once_a_second_while_there_is_more_to_do(houses: list[House]) -> None:
    house = build(houses, places=1)
    house.ask(*range(9))
    for _ in range(2):
        house.clock.time += PROGRESS_S
        for _ in range(2):
            house.loop.turn()
    figures = [body for kind, body in house.told() if kind == "progress"]
    assert [(body["steps"], body["running_sum"]) for body in figures] == [(1, 1), (3, 3)]


def test_the_last_figures_come_before_the_last_answer(houses: list[House]) -> None:
    house = build(houses, places=1)
    house.ask(1, 2)
    house.loop.turn()
    house.loop.turn()
    done, (told, figures), last = house.told()
    assert (done[0], told, last[0]) == ("done", "progress", "done")
    assert (figures["steps"], figures["running"]) == (2, 0)
    assert figures["peak_memory"] > 1 << 20


def test_the_parents_end_is_noticed_between_admissions(houses: list[House]) -> None:
    house = build(houses)
    house.ask(1, 2, 3)
    house.loop.hear(house.wire.receive())
    house.parent.close()
    with pytest.raises(Closed):
        house.loop._admit()
    assert house.core.admitted == [1]
