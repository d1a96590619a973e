"""Following a batch while it is answered, on both databases."""

from __future__ import annotations

import random

import pytest

from pipeline.jobs import BatchState
from pipeline.store import InvalidRow, Store
from pipeline.store import following as module
from pipeline.store.following import Mark
from tests.store_world import World, answer, spec


class Follower:
    """Reads what ended, as a command does."""

    def __init__(self, store: Store, batch: str) -> None:
        self.store, self.batch, self.mark = store, batch, Mark()

    def rows(self, end: int | None = None) -> list[tuple[int | None, str]]:
        found: list[tuple[int | None, str]] = []
        while True:
            before = self.mark
            items, self.mark = self.store.views.ended_since(self.batch, before, end)
            found += [(item.row, str(item.state)) for item in items]
            if not items and self.mark == before:
                return found


def test_each_item_comes_once_when_it_has_ended(world: World, store: Store) -> None:
    batch = world.submit("a.jpg", "b.jpg", "c.jpg", "d.jpg", name="one")
    store.add_invalid(batch, [InvalidRow(row=4, code="row_invalid", message="no", custom_id="x")])
    follower = Follower(store, "one")
    assert follower.rows() == [(4, "failed")]
    a, b, c, d = world.claim(world.ids(batch)[:4])
    world.finish(answer(c))
    assert follower.rows() == [(2, "done")]
    assert follower.rows() == []
    world.fail(b, "image_missing")
    world.finish(answer(a))
    assert follower.rows() == [(0, "done"), (1, "failed")]
    store.give_back([(d.id, d.token)])
    store.set_batch_state(batch, BatchState.CANCELLED)
    assert follower.rows() == [(3, "cancelled")]
    assert follower.rows() == []


def test_what_was_known_before_comes_at_once_with_its_answer(world: World, store: Store) -> None:
    world.do("a.jpg", "b.jpg")
    world.submit("b.jpg", "new.jpg", "a.jpg", name="two")
    items, _ = store.views.ended_since("two", Mark())
    assert [(item.row, item.answer and item.answer.text) for item in items] == [(0, "a cat"), (2, "a cat")]


def test_rows_from_the_end_on_wait(world: World, store: Store) -> None:
    world.do("a.jpg", "b.jpg", "c.jpg", name="one")
    follower = Follower(store, "one")
    assert follower.rows(end=2) == [(0, "done"), (1, "done")]
    assert follower.rows(end=2) == []
    assert follower.rows() == [(2, "done")]


def test_an_item_that_is_asked_again_is_not_looked_for_again(world: World, store: Store) -> None:
    batch = world.submit("a.jpg", name="one")
    (claim,) = world.claim(world.ids(batch))
    world.fail(claim, "image_missing")
    follower = Follower(store, "one")
    assert follower.rows() == [(0, "failed")]
    store.requeue([claim.id], fresh=False)
    (again,) = world.claim([claim.id])
    world.finish(answer(again))
    assert follower.rows() == []


def test_in_whatever_order_they_end_all_come_once(world: World, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OPEN", 40)
    count, rng = 3 * module.PAGE // 2, random.Random(1)
    batch = world.submit(*(f"{number}.jpg" for number in range(count)), name="one")
    claims = world.claim(world.ids(batch))
    rng.shuffle(claims)
    follower = Follower(store, "one")
    found: list[tuple[int | None, str]] = []
    while claims:
        world.finish(*(answer(claims.pop()) for _ in range(min(len(claims), rng.randrange(1, 120)))))
        found += follower.rows()
        assert len(follower.mark.open) < 40 + module.PAGE
    assert sorted(found) == [(row, "done") for row in range(count)]


def test_two_questions_about_a_row(world: World, store: Store) -> None:
    batch = world.open("one")
    world.add(batch, spec("a.jpg"))
    follower = Follower(store, "one")
    assert follower.rows() == []
    world.add(batch, spec("b.jpg"), spec("b.jpg", "Who?"), first=1)
    world.finish(*map(answer, world.claim(world.ids(batch))))
    assert [row for row, _ in follower.rows()] == [0, 1, 2]
