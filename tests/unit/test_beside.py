from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.beside import Beside
from pipeline.conditions import Condition
from pipeline.errors import PixmillError, SetupError, UsageError
from pipeline.jobs import Item, JobSpec
from pipeline.locators import Picture
from pipeline.prompts import Prompt, Sampling
from pipeline.store.values import InvalidRow
from pipeline.submit import FIRST_CHUNK, Entry

PROMPTS = (
    Prompt.ask("Q?", system="Be brief.", sampling=Sampling(max_tokens=9, temperature=0.5, seed=3)),
    Prompt.ask("What \udcff?", form={"kind": "choices", "choices": ["yes", "no"]}),
)


def some(count: int) -> Iterator[Entry]:
    for number in range(count):
        columns = {"n": number, "text": "ä\udcff\0"} if number % 2 else None
        if number % 10 == 3:
            yield InvalidRow(row=number, code="ROW_INVALID", message="no", custom_id=str(number), columns=columns)
            continue
        pictures = (Picture(f"file:///{number}.jpg", number, None), Picture("file:///%FF"))
        spec = JobSpec.of(pictures, PROMPTS[number % 2], "m", "GPU" if number % 3 else None)
        when = (Condition(ask=0, values=("yes",), contains=True),) if number % 5 == 1 else ()
        yield Item(spec, number, 1, str(number), columns, f"name {number % 7}", when)


def beside(entries: Iterator[Entry]) -> Iterator[Entry]:
    return Beside(pytest.fail).entries(entries)


def plain(entries: Iterator[Entry]) -> list[object]:
    return [
        entry._replace(columns=entry.columns and dict(entry.columns)) if isinstance(entry, Item) else entry
        for entry in entries
    ]


def children() -> set[str]:
    """Processes that this one has begun; other tests keep servers."""
    return {child for task in Path("/proc/self/task").iterdir() for child in (task / "children").read_text().split()}


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    before = children()
    yield
    assert children() == before


@pytest.mark.parametrize("count", [0, 7, 1234])
def test_the_entries_are_the_same(count: int) -> None:
    assert plain(beside(some(count))) == plain(some(count))


def test_a_prompt_is_known_by_what_it_asks_though_its_digest_came_along() -> None:
    items = [entry for entry in beside(some(50)) if isinstance(entry, Item)]
    for item in items:
        prompt = item.spec.prompt
        assert prompt.digest == Prompt(messages=prompt.messages, sampling=prompt.sampling, form=prompt.form).digest
        assert item.spec == JobSpec.of(item.spec.pictures, prompt, item.spec.model, item.spec.device_class)
    assert len({id(item.spec.prompt) for item in items}) == 2


def test_more_prompts_than_are_remembered() -> None:
    def many() -> Iterator[Entry]:
        for number in range(10_000):
            yield Item(JobSpec.of((Picture("file:///a"),), Prompt.ask(f"{number}?"), "m"), number)

    assert list(beside(many())) == list(many())


def test_who_takes_no_more_ends_the_process() -> None:
    before = children()
    entries = beside(some(1_000_000))
    assert isinstance(next(entries), Item)
    assert len(children() - before) == 1
    entries.close()  # type: ignore[attr-defined]
    assert children() == before


def test_what_is_said_there_is_said_here() -> None:
    said: list[tuple[int, str]] = []
    apart = Beside(lambda text: said.append((os.getpid(), text)))

    def talking() -> Iterator[Entry]:
        apart.note("begun")
        yield from some(2)
        apart.note("done")

    apart.note("before")
    assert len(list(apart.entries(talking()))) == 2
    assert said == [(os.getpid(), text) for text in ("before", "begun", "done")]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (UsageError(detail="Say more."), UsageError),
        (SetupError(detail="There is no room."), SetupError),
        (LookupError("a mistake of ours"), RuntimeError),
    ],
)
def test_what_goes_wrong_there_is_raised_here(
    error: Exception, raised: Callable[..., PixmillError | RuntimeError]
) -> None:
    def failing() -> Iterator[Entry]:
        yield from some(100)
        raise error

    seen = []
    with pytest.raises(raised, match=str(error)):  # type: ignore[call-overload]
        for entry in beside(failing()):
            seen.append(entry)
    assert len(seen) >= FIRST_CHUNK, "the first entries do not wait for many others"


def test_a_killed_process_is_no_end_of_the_entries() -> None:
    parent = os.getpid()

    def killed() -> Iterator[Entry]:
        yield from some(600)
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    entries = beside(killed())
    assert isinstance(next(entries), Item)
    with pytest.raises(SetupError, match="was killed"):
        list(entries)


def test_who_started_the_program_may_have_it_ignore_the_ends_of_its_children() -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert len(list(beside(some(7)))) == 7
    finally:
        signal.signal(signal.SIGCHLD, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_is_left_to_who_takes_the_entries(number: signal.Signals) -> None:
    parent = os.getpid()

    def signalled() -> Iterator[Entry]:
        yield from some(600)
        if os.getpid() != parent:
            os.kill(os.getpid(), number)
        yield from some(600)

    assert len(list(beside(signalled()))) == 1200


def test_what_holds_itself_is_cleaned_away_there() -> None:
    def errors() -> Iterator[Entry]:
        freed: list[object] = []
        for number in range(100_000):
            one: list[object] = [number]
            one.append(one)
            if number % 1000 == 0:
                one.append(Freed(freed))
        yield InvalidRow(row=0, code="ROW_INVALID", message=str(len(freed)))

    (entry,) = beside(errors())
    assert isinstance(entry, InvalidRow) and int(entry.message) > 50


class Freed:
    def __init__(self, freed: list[object]) -> None:
        self._freed = freed

    def __del__(self) -> None:
        self._freed.append(1)
