from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import pytest

from pipeline.errors import PromptTooLong
from pipeline.prompts import Sampling
from workers.engine.core import Ending
from workers.engine.loop import ADMISSION_S, PROGRESS_S, Loop
from workers.engine.requests import Completion, Frame, Request, Runtime
from workers.engine.waves import WAVE_PICTURES, WAVE_S, Broken, Waves
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
        self.waves: Waves | None = None
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


class Sharing:
    """Answers all it was shown, each picture of which takes `cost` seconds. `during` is called while it answers."""

    def __init__(self, core: Core, most: int) -> None:
        self.core, self.most, self.pulse = core, most, 0
        self.shown: list[int] = []
        self.waves: list[list[int]] = []
        self.unfit: set[int] = set()
        self.poison: set[int] = set()
        self.during: Callable[[], None] = lambda: None

    def fits(self, group: Sequence[Request]) -> bool:
        return group[0].frames[0].offset not in self.unfit

    def show(self, group: Sequence[Request]) -> list[Ending]:
        assert not self.core.held, "something runs"
        if self.poison & {-request.id for request in group}:
            raise Broken
        self.core.clock.time += self.core.cost
        self.shown += [request.id for request in group]
        return []

    def answer(self) -> list[Ending]:
        shown, self.shown = self.shown, []
        self.waves.append(shown)
        self.during()
        if self.poison & set(shown):
            raise Broken
        return [_completion(id) for id in shown]


class House:
    """A loop, its core, and the parent's end of the wire."""

    def __init__(self, cost: float = 0.0, places: int = 16) -> None:
        ours, theirs = socket.socketpair()
        self.clock = Clock()
        self.parent = Wire(ours)
        self.core = Core(self.clock, cost, places)
        self.wire = Wire(theirs)
        self.loop = Loop(self.wire, self.core, now=self.clock)

    def share(self) -> Sharing:
        """Let the core answer in waves, too."""
        sharing = Sharing(self.core, most=self.core.places)
        self.core.waves = sharing
        return sharing

    def ask(self, *ids: int, question: str = "?", picture: int | None = None) -> None:
        self.parent.post("ask", [_request(id, question, picture).wire() for id in ids])

    def told(self) -> list[tuple[str, Any]]:
        return self.parent.receive()

    def ended(self) -> list[int]:
        return [item["id"] for kind, body in self.told() if kind == "done" for item in body]


def _request(id: int, question: str, picture: int | None = None) -> Request:
    frames = () if picture is None else (Frame(offset=4096 * picture, width=1, height=1),)
    return Request(id=id, frames=frames, messages=(("user", question),), sampling=Sampling())


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


# --- waves -------------------------------------------------------------------------------------------


def turn(house: House, times: int = 1) -> None:
    for _ in range(times):
        house.loop.turn()


def finish(house: House) -> None:
    """Turn until there is nothing more to do."""
    house.loop.turn()
    while not house.loop._idle:
        house.loop.turn()


def test_questions_about_one_picture_are_answered_together(houses: list[House]) -> None:
    house = build(houses)
    sharing = house.share()
    house.ask(1, 2, picture=1)
    house.ask(3, picture=2)
    house.ask(4)
    house.ask(5, 6, 7, picture=3)
    finish(house)
    assert sharing.waves == [[1, 2, 5, 6, 7]]
    assert house.core.admitted == [3, 4]
    assert house.ended() == [1, 2, 5, 6, 7, 3, 4]


def test_without_waves_each_is_admitted(houses: list[House]) -> None:
    house = build(houses)
    house.ask(1, 2, picture=1)
    finish(house)
    assert house.core.admitted == [1, 2]


def test_a_wave_begins_when_nothing_runs_and_nothing_is_admitted_until_it_has_ended(houses: list[House]) -> None:
    house = build(houses)
    sharing = house.share()
    sharing.during = lambda: house.ask(5)
    house.core.step = list  # type: ignore[method-assign]  # nothing ends
    house.ask(1)
    turn(house)
    house.ask(2, 3, picture=1)
    house.ask(4)
    turn(house, 3)
    assert (sharing.waves, house.core.admitted) == ([], [1])
    house.core.held = []
    turn(house)
    assert (sharing.waves, house.core.admitted) == ([[2, 3]], [1])
    turn(house)
    assert house.core.admitted == [1, 4, 5], "they waited for one wave"


@pytest.mark.parametrize("lone", [1, 5])
def test_waves_and_singles_take_turns(houses: list[House], lone: int) -> None:
    house = build(houses, places=4)
    sharing = house.share()
    for picture in range(3):
        house.ask(10 * picture, 10 * picture + 1, 10 * picture + 2, picture=picture)
    house.ask(*range(100, 100 + lone))
    order: list[str] = []
    sharing.during = lambda: order.append("wave")
    admit = house.core.admit
    house.core.admit = lambda request: (order.append("single"), admit(request))[1]  # type: ignore[func-returns-value, method-assign]
    finish(house)
    assert order == ["wave", *["single"] * min(lone, 4), "wave", *["single"] * (lone - min(lone, 4)), "wave"]


def test_a_wave_is_bounded_by_its_questions(houses: list[House]) -> None:
    house = build(houses, places=4)
    sharing = house.share()
    house.ask(1, 2, 3, 4, 5, 6, picture=1)
    house.ask(7, 8, 9, picture=2)
    finish(house)
    assert sharing.waves == [[1, 2, 3, 4], [5, 6], [7, 8, 9]]


@pytest.mark.parametrize(("cost", "pictures"), [(0.0, WAVE_PICTURES), (WAVE_S * 0.6, 2), (WAVE_S * 3, 1)])
def test_a_wave_is_bounded_by_its_pictures_and_their_time(houses: list[House], cost: float, pictures: int) -> None:
    house = build(houses, cost=cost, places=100)
    sharing = house.share()
    for picture in range(20):
        house.ask(2 * picture, 2 * picture + 1, picture=picture)
    turn(house)
    assert sharing.waves == [list(range(2 * pictures))]


def test_a_wave_takes_in_pictures_for_as_long_as_the_answers_before_took(houses: list[House]) -> None:
    house = build(houses, cost=WAVE_S, places=100)
    sharing = house.share()

    def answer_slowly() -> None:
        house.clock.time += WAVE_S * 2.5

    sharing.during = answer_slowly
    for picture in range(4):
        house.ask(2 * picture, 2 * picture + 1, picture=picture)
    finish(house)
    assert sharing.waves == [[0, 1], [2, 3, 4, 5, 6, 7]]


def test_a_picture_that_was_shown_is_progress(houses: list[House]) -> None:
    house = build(houses, cost=PROGRESS_S * 0.9)
    sharing = house.share()
    told: list[list[str]] = []
    sharing.during = lambda: told.append([kind for kind, _ in house.told()])
    for picture in range(2):
        house.ask(2 * picture, 2 * picture + 1, picture=picture)
    house.loop._answers_took = PROGRESS_S * 5
    turn(house)
    assert told == [["progress"]]


def test_a_broken_wave_is_asked_singly_and_so_is_nothing_else(houses: list[House]) -> None:
    house = build(houses)
    sharing = house.share()
    sharing.poison = {2}
    house.ask(1, 2, picture=1)
    finish(house)
    house.ask(3, 4, picture=1)
    finish(house)
    assert sharing.waves == [[1, 2], [3, 4]]
    assert house.core.admitted == [1, 2]
    assert house.ended() == [1, 2, 3, 4]


def test_a_picture_that_cannot_be_shown_breaks_no_wave(houses: list[House]) -> None:
    house = build(houses)
    sharing = house.share()
    sharing.poison = {-1}
    house.ask(1, 2, picture=1)
    house.ask(3, 4, picture=2)
    finish(house)
    assert sharing.waves == [[3, 4]]
    assert house.core.admitted == [1, 2]


def test_what_fits_in_no_wave_is_asked_singly(houses: list[House]) -> None:
    house = build(houses)
    sharing = house.share()
    sharing.unfit = {4096}
    house.ask(1, 2, picture=1)
    finish(house)
    assert (sharing.waves, house.core.admitted) == ([], [1, 2])


def test_no_room_for_two_means_no_waves(houses: list[House]) -> None:
    house = build(houses)
    house.share().most = 1
    house.ask(1, 2, picture=1)
    finish(house)
    assert house.core.admitted == [1, 2]


def test_cancel_and_drain_are_heard_while_a_wave_runs(houses: list[House]) -> None:
    house = build(houses)
    sharing = house.share()
    answered = threading.Event()
    sharing.during = lambda: None if answered.wait(20) else pytest.fail("nobody heard")
    house.ask(1, 2, picture=1)
    house.ask(3, 4, 5)
    house.parent.post("cancel", [3])
    hear = house.loop.hear

    def heard(messages: Sequence[Any]) -> None:
        hear(messages)
        if any(kind == "drain" for kind, _ in messages):
            answered.set()

    house.loop.hear = heard  # type: ignore[method-assign]
    sharing.show, show = lambda group: (house.parent.post("drain", None), show(group))[1], sharing.show  # type: ignore[func-returns-value, method-assign]
    turn(house)
    told = dict(house.told())
    assert told["returned"] == [4, 5]
    assert [item["id"] for item in told["done"]] == [1, 2]


def test_the_parents_end_is_noticed_while_a_wave_runs(houses: list[House]) -> None:
    house = build(houses)
    sharing = house.share()
    over = threading.Event()

    def leave() -> None:
        house.parent.close()
        over.wait(20)

    sharing.during = leave
    house.ask(1, 2, picture=1)
    with pytest.raises(Closed):
        house.loop.turn()
    over.set()


def test_a_wave_that_gets_on_tells_so_and_one_that_hangs_does_not(houses: list[House]) -> None:
    house = build(houses)
    sharing = house.share()
    waits = [False, False, True]
    gets_on = [False, True, False]
    told: list[list[str]] = []

    class Answering:
        def __init__(self, call: Callable[[], list[Ending]]) -> None:
            self.result = call

        def ended(self, wire: Wire, seconds: float) -> bool:
            told.append([kind for kind, _ in house.told()])
            sharing.pulse += gets_on.pop(0)
            return waits.pop(0)

    house.ask(1, 2, picture=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workers.engine.loop.Aside", Answering)
        house.loop.turn()
    assert told == [[], [], ["progress"]]


def test_a_cancelled_rider_of_a_broken_wave_is_not_asked_again(houses: list[House]) -> None:
    house = build(houses)
    sharing = house.share()
    sharing.poison = {2}
    house.ask(1, 2, picture=1)
    sharing.during = lambda: house.loop.hear([("cancel", [1])])
    finish(house)
    assert house.core.admitted == [2]
