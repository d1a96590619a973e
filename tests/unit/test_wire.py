"""workers.wire: messages survive in order, whatever the socket does to them."""

from __future__ import annotations

import fcntl
import resource
import socket
from collections.abc import Iterator

import pytest

from workers.wire import Closed, Message, Wire


@pytest.fixture
def ends() -> Iterator[tuple[Wire, Wire]]:
    ours, theirs = (Wire(sock) for sock in socket.socketpair())
    yield ours, theirs
    ours.close()
    theirs.close()


def receive(wire: Wire, count: int) -> list[Message]:
    messages: list[Message] = []
    while len(messages) < count:
        assert wire.wait(10), "nothing came"
        messages += wire.receive()
    return messages


def test_messages_arrive_in_order(ends: tuple[Wire, Wire]) -> None:
    ours, theirs = ends
    for number in range(100):
        ours.post("count", number)
    assert receive(theirs, 100) == [("count", number) for number in range(100)]


def test_text_of_every_kind_survives(ends: tuple[Wire, Wire]) -> None:
    ours, theirs = ends
    body = {"text": "naïve \0 \n 漢字 \udcff", "none": None, "list": [1, 2.5, True]}
    ours.send("odd", body)
    assert receive(theirs, 1) == [("odd", body)]


def test_a_message_larger_than_the_socket_waits_and_is_flushed(ends: tuple[Wire, Wire]) -> None:
    ours, theirs = ends
    text = "x" * 2_000_000
    ours.post("large", text)
    assert ours.unsent
    messages: list[Message] = []
    while not messages:
        messages = theirs.receive()
        ours.flush()
    assert messages == [("large", text)]
    assert not ours.unsent


def test_what_was_sent_before_the_end_is_read_first(ends: tuple[Wire, Wire]) -> None:
    ours, theirs = ends
    ours.send("last", 1)
    ours.close()
    assert theirs.receive() == [("last", 1)]
    with pytest.raises(Closed):
        theirs.receive()


def test_posting_to_a_closed_end_says_so(ends: tuple[Wire, Wire]) -> None:
    ours, theirs = ends
    theirs.close()
    with pytest.raises(Closed):
        ours.post("hello", None)


def test_resting_ends_when_there_is_something_to_receive_or_room_to_send() -> None:
    """Also with a descriptor that `select.select` refuses, which a child inherits from a large program."""
    sockets = socket.socketpair()
    high = fcntl.fcntl(sockets[0], fcntl.F_DUPFD, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 1)
    ours, theirs = Wire(socket.socket(fileno=high)), Wire(sockets[1])
    theirs.post("hello", None)
    ours.rest()
    ours.receive()
    ours.post("large", "x" * 2_000_000)
    theirs.receive()
    ours.rest()
    for end in (ours, theirs, sockets[0]):
        end.close()


def test_nothing_to_receive_is_no_message(ends: tuple[Wire, Wire]) -> None:
    ours, _ = ends
    assert ours.receive() == []
    assert not ours.wait(0)
