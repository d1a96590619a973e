from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from pipeline.prompts import Sampling
from workers.engine.aside import Aside
from workers.engine.requests import Frame, Request
from workers.engine.waves import together
from workers.wire import Wire


def about(id: int, *pictures: int) -> Request:
    frames = tuple(Frame(offset=4096 * picture, width=1, height=1) for picture in pictures)
    return Request(id=id, frames=frames, messages=(("user", "?"),), sampling=Sampling())


def ids(groups: list[list[Request]]) -> list[list[int]]:
    return [[request.id for request in group] for group in groups]


def test_a_group_has_the_same_pictures_in_the_same_order() -> None:
    waiting = [
        about(1, 7),
        about(2, 8),
        about(3, 7),
        about(4, 7, 8),
        about(5, 8, 7),
        about(6, 8, 7),
        about(7),
        about(8),
    ]
    assert ids(together(waiting, ())) == [[1, 3], [5, 6]]


def test_what_is_to_be_asked_singly_is_in_no_group() -> None:
    waiting = [about(1, 7), about(2, 7), about(3, 7)]
    assert ids(together(waiting, {1})) == [[2, 3]]
    assert together(waiting, {1, 2}) == []


@pytest.fixture
def wires() -> Iterator[tuple[Wire, Wire]]:
    ours, theirs = socket.socketpair()
    made = Wire(ours), Wire(theirs)
    yield made
    for wire in made:
        wire.close()


def test_the_end_of_a_call_is_noticed_at_once(wires: tuple[Wire, Wire]) -> None:
    go = threading.Event()

    def call() -> int:
        go.wait(20)
        return 7

    aside = Aside(call)
    assert not aside.ended(wires[0], 0)
    go.set()
    assert aside.ended(wires[0], 20)
    assert aside.result() == 7


def test_what_comes_meanwhile_is_noticed_too(wires: tuple[Wire, Wire]) -> None:
    go = threading.Event()
    aside = Aside(lambda: go.wait(20))
    wires[1].send("hello", None)
    assert not aside.ended(wires[0], 20)
    assert wires[0].receive() == [("hello", None)]
    go.set()
    assert aside.result()


def test_an_error_is_handed_on(wires: tuple[Wire, Wire]) -> None:
    aside = Aside(lambda: 1 // 0)
    assert aside.ended(wires[0], 20)
    with pytest.raises(ZeroDivisionError):
        aside.result()
