"""workers.child: real processes that greet, refuse, die, hang and are started again."""

from __future__ import annotations

import os
import signal
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workers.child import Child, Death, StartsExhausted
from workers.wire import Message

GREETING = """
    import os, socket, sys, signal
    from workers.wire import Wire, Closed
    wire = Wire(socket.socket(fileno=int(sys.argv[1])))
    def take():
        while True:
            wire.wait()
            for message in wire.receive():
                yield message
    messages = take()
    kind, config = next(messages)
    assert kind == "config"
"""
ECHO = """
    wire.send("ready", {"pid": os.getpid(), **config})
    try:
        for kind, body in messages:
            if kind == "die":
                print("last words", file=sys.stderr, flush=True)
                os.kill(os.getpid(), signal.SIGSEGV)
            wire.send(kind, body)
    except Closed:
        pass
"""

Start = Callable[..., Child]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start a child that runs the given lines after taking its configuration."""
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.getcwd()}")
    shared = os.memfd_create("nothing")
    children: list[Child] = []

    def begin(lines: str, **options: int) -> Child:
        (tmp_path / "kid.py").write_text(textwrap.dedent(GREETING) + textwrap.dedent(lines))
        child = Child("kid", {"word": "hello"}, shared=shared, **options)
        children.append(child)
        child.tend()
        return child

    yield begin
    for child in children:
        child.close()
    os.close(shared)


def until(child: Child, wanted: Callable[[list[Message | Death]], bool]) -> list[Message | Death]:
    """What the child says until that is enough."""
    said: list[Message | Death] = []
    while not wanted(said):
        if child.wire:
            assert child.wire.wait(20), "the child says nothing"
        said += child.receive()
    return said


def ready(child: Child) -> None:
    until(child, lambda _: child.ready is not None)


def dead(child: Child) -> Death:
    last = until(child, lambda said: bool(said) and isinstance(said[-1], Death))[-1]
    assert isinstance(last, Death)
    return last


def test_settings_are_not_in_its_environment(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """It opens what nobody vouches for, and the addresses of servers hold passwords."""
    monkeypatch.setenv("PIXMILL_DATABASE_URL", "postgresql://me:secret@there/pixmill")
    child = start('wire.send("ready", {"names": [name for name in os.environ if "PIXMILL" in name]})\nnext(messages)')
    ready(child)
    assert child.ready == {"names": []}


def test_it_greets_with_its_configuration_and_answers(start: Start) -> None:
    child = start(ECHO)
    ready(child)
    assert child.ready == {"pid": child.pid, "word": "hello"}
    child.post("say", {"a": 1})
    assert until(child, bool) == [("say", {"a": 1})]


def test_a_death_is_told_with_its_last_words_and_followed_by_a_new_start(start: Start) -> None:
    child = start(ECHO)
    ready(child)
    first = child.pid
    child.post("die", None)
    assert dead(child) == Death("killed by SIGSEGV: last words")
    assert child.wire is None and child.due_in is not None
    while child.wire is None:
        child.tend()
    ready(child)
    assert child.pid != first


def test_what_was_said_before_a_death_comes_first(start: Start) -> None:
    child = start(ECHO)
    ready(child)
    child.post("one", 1)
    child.post("die", None)
    said = until(child, lambda said: bool(said) and isinstance(said[-1], Death))
    assert said[0] == ("one", 1)


def test_what_was_said_before_a_death_comes_first_also_when_something_was_still_to_be_sent(start: Start) -> None:
    child = start(ECHO)
    ready(child)
    child.post("one", 1)
    child.post("die", None)
    assert child.pid is not None
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    child.post("too late", None)
    assert child.receive() == [("one", 1)]
    assert isinstance(dead(child), Death)


def test_the_current_folder_is_not_imported_from(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "json.py").write_text("raise SystemExit('this is no json')")
    monkeypatch.chdir(here)
    child = start(ECHO)
    ready(child)


def test_what_it_prints_does_not_fill_the_memory(start: Start) -> None:
    child = start("""
        wire.send("ready", {})
        for kind, body in messages:
            os.write(1, b"a library's complaint\\n" * 10_000)
            wire.send(kind, body)
            if body == 19:
                sys.exit("last words")
    """)
    ready(child)
    for number in range(20):
        child.tend()
        assert os.fstat(child._notes).st_size < 2_000_000
        child.post("say", number)
        until(child, bool)
    assert dead(child).reason == "ended with 1: last words"


def test_a_machine_that_starts_no_more_processes_ends_with_the_reason(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    child = start("", starts=2)
    with pytest.raises(StartsExhausted, match="it could not be started"):
        while True:
            child.tend()


def test_a_refusal_ends_the_starts_with_its_sentence(start: Start) -> None:
    child = start('wire.send("refused", "No such model."); sys.exit(3)')
    dead(child)
    with pytest.raises(StartsExhausted, match=r"^No such model\.$") as caught:
        child.tend()
    assert caught.value.refused


def test_dying_at_every_start_ends_with_the_reason(start: Start) -> None:
    child = start('sys.exit("libfoo.so: not found")', starts=2)
    with pytest.raises(StartsExhausted, match=r"ended with 1: libfoo\.so: not found") as caught:
        while True:
            child.tend()
            if child.wire:
                dead(child)
    assert not caught.value.refused


def test_a_ready_child_may_die_more_often_than_starts_are_allowed(start: Start) -> None:
    child = start(ECHO, starts=2)
    for _ in range(4):
        while child.wire is None:
            child.tend()
        ready(child)
        child.post("die", None)
        dead(child)


def test_killing_gives_the_reason_and_leaves_no_process(start: Start) -> None:
    child = start(ECHO)
    ready(child)
    pid = child.pid
    assert pid is not None
    assert child.kill("it hung") == Death("it hung")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_closing_ends_even_a_child_that_ignores_its_socket(start: Start) -> None:
    child = start("""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        wire.send("ready", {})
        while True:
            signal.pause()
    """)
    ready(child)
    pid = child.pid
    assert pid is not None
    child.close(patience=0.1)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_stopped_child_is_silent_but_not_dead(start: Start) -> None:
    child = start(ECHO)
    ready(child)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGSTOP)
    child.post("say", 1)
    assert child.receive() == []
    os.kill(child.pid, signal.SIGCONT)
    assert until(child, bool) == [("say", 1)]
