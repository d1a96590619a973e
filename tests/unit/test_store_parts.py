"""The parts of the store that need no database."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.store import Added, Counts
from pipeline.store.dialects import plain
from pipeline.store.endings import LONGEST_PAUSE_S, pause_s
from pipeline.store.tickets import Stock, deal


@pytest.mark.parametrize(
    ("given", "kept"),
    [("", ""), ("plain", "plain"), ("café ✓ 😀", "café ✓ 😀"), ("a\0b", "a\ufffdb"), ("x\udcff", "x\\udcff")],
)
def test_text_that_both_databases_can_keep(given: str, kept: str) -> None:
    assert plain(given) == kept


@given(st.text(st.characters()))
def test_any_text_becomes_text_that_can_be_kept(text: str) -> None:
    assert "\0" not in plain(text)
    plain(text).encode()


def test_pauses_double_up_to_a_minute() -> None:
    for attempts, longest in ((1, 1), (2, 2), (3, 4), (7, LONGEST_PAUSE_S), (99, LONGEST_PAUSE_S)):
        assert 0.75 * longest <= pause_s(attempts) <= 1.25 * longest


def test_pauses_differ() -> None:
    assert len({pause_s(1) for _ in range(10)}) > 1


def test_added_adds_up() -> None:
    both = Added(new=1, linked_done=2) + Added(new=3, linked_pending=4, requeued=5)
    assert both == Added(new=4, linked_done=2, linked_pending=4, requeued=5)
    assert (both.total, Counts(queued=2, running=3, done=9).unfinished) == (15, 5)


sizes = st.lists(st.lists(st.integers(1, 4), max_size=6), max_size=5)


@given(sizes, st.integers(4, 8), st.integers(1, 12))
def test_dealing_loses_nothing_and_splits_no_group(shape: list[list[int]], size: int, count: int) -> None:
    numbers = iter(range(10_000))
    groups = [[[next(numbers) for _ in range(length)] for length in lengths] for lengths in shape]
    dealt = deal([Stock(batch, deque(each)) for batch, each in enumerate(groups)], size=size, count=count)
    assert len(dealt) <= count
    assert all(0 < len(ticket) <= size for ticket in dealt)
    out = [id for ticket in dealt for id in ticket]
    assert len(out) == len(set(out))
    for group in (group for each in groups for group in each):
        assert sum(set(group) <= set(ticket) for ticket in dealt) == (group[0] in out)
    if len(dealt) < count:
        assert sorted(out) == [id for each in groups for group in each for id in group]
