"""pipeline.store.watched and pipeline.store.watches: what a watcher knows, on SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.owner import Owner
from pipeline.store import Store
from pipeline.store.watched import FileState, Seen, Wait
from tests.store_world import Clock, World, answer, spec

ELSEWHERE = Owner(host="elsewhere", boot_id="b", pid_namespace="pid:[2]", pid=7, pid_started=1)
SPEC = {"folders": ["/in"]}


@pytest.fixture
def watch(store: Store) -> int:
    found = store.watches.open("in", SPEC, Owner.current(), 30.0)
    assert isinstance(found, int)
    return found


def seen(name: str, size: int = 1, drop: str = "a") -> Seen:
    return Seen(locator=f"file:///in/{name}", size=size, mtime_ns=1, drop=drop)


def note(store: Store, watch: int, *files: Seen, now: float = 0.0, away: tuple[FileState, ...] = ()) -> int:
    return store.watches.files(watch).note([(file, now + 2.0) for file in files], now=now, away=away, reason="new")


def names(store: Store, watch: int, now: float, limit: int = 10) -> list[str]:
    return [file.locator.rpartition("/")[2] for file in store.watches.files(watch).ready(now=now, limit=limit)]


# --- who watches ---------------------------------------------------------------------------------


def test_a_watch_is_one_process_s_until_its_lease_is_over(store: Store, clock: Clock) -> None:
    first = store.watches.open("in", SPEC, ELSEWHERE, 30.0)
    assert store.watches.open("in", SPEC, Owner.current(), 30.0) == ELSEWHERE
    assert store.watches.open("in", SPEC, ELSEWHERE, 30.0) == first
    clock.pass_(31)
    assert store.watches.open("in", SPEC, Owner.current(), 30.0) == first
    assert isinstance(first, int)
    assert not store.watches.renew(first, ELSEWHERE, 30.0)
    assert store.watches.renew(first, Owner.current(), 30.0)


def test_a_process_that_is_proven_dead_has_no_watch(store: Store) -> None:
    dead = replace(Owner.current(), pid_started=1)
    first = store.watches.open("in", SPEC, dead, 30.0)
    assert not store.watches.rows()[0].running
    assert store.watches.open("in", SPEC, Owner.current(), 30.0) == first
    assert store.watches.rows()[0].running


def test_a_watch_that_was_left_is_free(store: Store) -> None:
    first = store.watches.open("in", SPEC, ELSEWHERE, 30.0)
    assert isinstance(first, int)
    store.watches.leave(first, Owner.current())
    assert store.watches.open("in", SPEC, Owner.current(), 30.0) == ELSEWHERE
    store.watches.leave(first, ELSEWHERE)
    assert store.watches.open("in", SPEC, Owner.current(), 30.0) == first


# --- what is seen --------------------------------------------------------------------------------


def test_what_is_new_or_changed_waits_anew(store: Store, watch: int) -> None:
    assert note(store, watch, seen("a"), seen("b")) == 2
    assert note(store, watch, seen("a"), seen("b", size=2), now=1.0) == 1
    assert names(store, watch, 2.0) == ["a"]
    assert names(store, watch, 3.0) == ["a", "b"]
    assert store.watches.files(watch).next_due() == 2.0


def test_what_is_done_is_not_seen_again_unless_it_should_be_gone(store: Store, watch: int) -> None:
    note(store, watch, seen("a"))
    store.watches.files(watch).end({seen("a").locator: (FileState.DONE, None)}, 3.0)
    assert note(store, watch, seen("a"), now=4.0) == 0
    assert note(store, watch, seen("a"), now=4.0, away=(FileState.DONE,)) == 1


def test_what_was_gone_and_is_there_again_waits_anew(store: Store, watch: int) -> None:
    note(store, watch, seen("a"))
    store.watches.files(watch).end({seen("a").locator: (FileState.GONE, "it went")}, 3.0)
    assert note(store, watch, seen("a"), now=4.0) == 1


def test_drops_take_turns(store: Store, watch: int) -> None:
    note(store, watch, *(seen(f"a{number}") for number in range(5)))
    note(store, watch, *(seen(f"b{number}", drop="b") for number in range(2)), now=1.0)
    assert names(store, watch, 9.0, limit=4) == ["a0", "b0", "a1", "b1"]


# --- what is taken -------------------------------------------------------------------------------


def test_a_file_has_ended_when_all_its_questions_have(world: World, watch: int) -> None:
    store, batch = world.store, world.open()
    note(store, watch, seen("a"), seen("b"))
    world.add(batch, spec("a"), spec("b"))
    store.watches.files(watch).take({seen("a").locator: (batch, 0), seen("b").locator: (batch, 1)}, 2.0)
    assert names(store, watch, 9.0) == []
    assert store.watches.files(watch).ended(now=9.0, limit=10) == []
    first, second = world.claim()
    world.finish(answer(second))
    assert [file.row_no for file in store.watches.files(watch).ended(now=9.0, limit=10)] == [1]
    assert [item.row for item in store.views.of_rows(batch, [1])] == [1]
    store.watches.files(watch).put_off([seen("b").locator], "the disk is full", 20.0, 9.0)
    assert store.watches.files(watch).ended(now=10.0, limit=10) == []
    world.finish(answer(first))
    assert [file.row_no for file in store.watches.files(watch).ended(now=21.0, limit=10)] == [0, 1]
    store.seal(batch, 2)


def test_a_failed_file_is_taken_again_once_its_questions_were_asked_again(world: World, watch: int) -> None:
    """They may be open still, or answered before anybody looked."""
    store, files, batch = world.store, world.store.watches.files(watch), world.open()
    note(store, watch, seen("a"), seen("b"))
    world.add(batch, spec("a"), spec("b"))
    files.take({seen("a").locator: (batch, 0), seen("b").locator: (batch, 1)}, 2.0)
    first, second = world.claim()
    for claim in (first, second):
        world.fail(claim, "image_unsupported")
    files.end({seen(name).locator: (FileState.FAILED, "no picture") for name in "ab"}, 3.0)
    assert files.take_again(4.0) == 0
    store.requeue([first.id], fresh=False)
    assert [store.watches.of(seen(name).locator)[0][1].asked_again for name in "ab"] == [True, False]
    assert (files.take_again(5.0), files.take_again(5.0)) == (1, 0)
    assert files.counts() == {FileState.TAKEN: 1, FileState.FAILED: 1}
    store.requeue([second.id], fresh=False)
    world.finish(*map(answer, world.claim()))
    assert files.take_again(6.0) == 1
    assert [file.row_no for file in files.ended(now=6.0, limit=10)] == [0, 1]


def test_what_is_not_fit_waits_longer_and_keeps_its_row(store: Store, watch: int) -> None:
    note(store, watch, seen("a"))
    (file,) = store.watches.files(watch).ready(now=2.0, limit=1)
    wait = Wait(locator=file.locator, size=1, mtime_ns=1, reason="cut", due=8.0, tries=1, since=0.0)
    store.watches.files(watch).wait([wait], 2.0)
    assert (store.watches.files(watch).unfit(), names(store, watch, 7.0)) == (1, [])
    store.watches.files(watch).hasten([file.locator], 5.0)
    assert names(store, watch, 5.0) == ["a"]
    store.watches.files(watch).start_over(12.0, 10.0)
    ((name, known),) = store.watches.of(file.locator)
    assert (name, known.due, known.tries, known.since) == ("in", 12.0, 0, 10.0)


def test_batches_that_were_left_open_are_found_with_their_rows(world: World) -> None:
    batch = world.store.open_batch(None, origin="watch:in", spec={}).id
    empty = world.store.open_batch(None, origin="watch:in", spec={}).id
    world.add(batch, spec("a"), spec("b"))
    assert dict(world.store.watches.unsealed("watch:in")) == {batch: 2, empty: 0}
    world.store.seal(batch, 2)
    world.store.seal(empty, 0)
    assert world.store.watches.unsealed("watch:in") == []


def test_hardening_leaves_all_as_it_was(store: Store, watch: int) -> None:
    store.watches.harden()
    assert [row.name for row in store.watches.rows()] == ["in"]
