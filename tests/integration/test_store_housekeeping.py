"""What is removed from a store, on both databases; what must always be true is checked after each test."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pipeline import tables as t
from pipeline.conditions import Condition
from pipeline.errors import BatchLive, PictureRunning
from pipeline.jobs import BatchState, CacheHit, Item, PictureRead
from pipeline.store import InvalidRow, Store, housekeeping, pruning, scrubbing
from pipeline.store.forgetting import Found, Wanted
from pipeline.store.pruning import KINDS
from tests.store_world import FACTS, READ, Clock, World, answer, check, spec

DAY = 86_400.0
OTHER = READ.__class__(sha256=b"o" * 32, bytes=5, width=1, height=1, format="PNG")


def count(world: World, table: sa.Table) -> int:
    return len(world.rows(sa.select(*table.primary_key.columns)))


def prune(store: Store, clock: Clock, *names: str, days: float = 90) -> int:
    return sum(sum(store.housekeeping.prune(name, clock.now - days * DAY)) for name in names or KINDS)


def review(store: Store, answer_id: int, text: str | None = "a dog") -> None:
    values = {"answer_id": answer_id, "verdict": "corrected", "text": text, "created": 1.0}
    with store._writing() as (connection, _):
        connection.execute(t.reviews.insert().values(values))


def again(world: World, store: Store, clock: Clock, text: str) -> None:
    """The only job is answered once more, a day later."""
    clock.pass_(DAY)
    store.requeue(world.ids(), fresh=True)
    world.finish(*(answer(claim, text) for claim in world.claim()))
    store.settle()


# --- pruning -----------------------------------------------------------------------------------


def test_an_old_batch_goes_with_what_only_it_lists(world: World, store: Store, clock: Clock) -> None:
    old = world.submit("mine.jpg", "shared.jpg", "reviewed.jpg", question="Old?")
    world.finish(*(answer(claim, pictures=(OTHER,)) for claim in world.claim()))
    store.settle()
    review(store, world.answers()[2].id)
    clock.pass_(100 * DAY)
    young = world.submit("shared.jpg", question="Old?")
    assert store.housekeeping.count("batches", clock.now - 90 * DAY) == {
        "batch": 1,
        "item": 3,
        "job": 1,
        "answer": 1,
    }
    assert prune(store, clock, "batches") == 4
    assert [row.id for row in world.rows(sa.select(t.batches.c.id))] == [young]
    assert old != young and [row.job_id for row in world.answers()] == world.ids() == [2, 3]
    assert prune(store, clock) == 0  # what is left is reviewed, or young
    check(store)


def test_what_lives_or_is_young_stays(world: World, store: Store, clock: Clock) -> None:
    world.submit("a.jpg", name="waits")
    paused = world.submit("b.jpg", name="paused")
    store.set_batch_state(paused, BatchState.PAUSED)
    clock.pass_(100 * DAY)
    world.do("c.jpg", name="young")
    store.settle()
    assert prune(store, clock) == 0
    assert (count(world, t.batches), count(world, t.jobs)) == (3, 3)


def test_what_was_pruned_is_asked_again(world: World, store: Store, clock: Clock) -> None:
    world.do("a.jpg", name="a")
    store.settle()
    clock.pass_(DAY)
    assert prune(store, clock, days=0.5) > 0
    assert [count(world, table) for table in (t.batches, t.jobs, t.answers, t.prompts, t.images)] == [0] * 5
    world.do("a.jpg", name="a")
    assert store.settle()


def test_replaced_answers_go_unless_they_are_needed(world: World, store: Store, clock: Clock) -> None:
    world.do("a.jpg")
    again(world, store, clock, "2")
    again(world, store, clock, "3")
    again(world, store, clock, "4")
    first, second, *_ = world.answers()
    review(store, first.id)
    before = clock.now - 0.5 * DAY
    assert store.housekeeping.count("answers", before) == {"answer": 1}
    assert list(store.housekeeping.prune("answers", before)) == [1]
    assert [row.text for row in world.answers()] == ["a cat", "3", "4"]
    assert second.id not in [row.id for row in world.answers()]


def test_an_answer_others_were_copied_from_stays_as_one_of_them(world: World, store: Store, clock: Clock) -> None:
    world.submit("a.jpg", name="a")
    world.finish(*(answer(claim, content_key=b"k" * 16, total_s=3.0) for claim in world.claim()))
    store.settle()
    (origin,) = world.answers()
    clock.pass_(100 * DAY)
    for name in ("b", "c"):
        world.submit(f"{name}.jpg", name=name)
        (claim,) = world.claim()
        world.finish(
            CacheHit(job=claim.id, token=claim.token, answer=origin.id, content_key=b"k" * 16, pictures=(READ,))
        )
    prune(store, clock)
    b, c = world.answers()
    assert (b.cached_from, b.total_s, c.cached_from, c.total_s) == (None, 3.0, b.id, 0.0)


def test_prompts_and_pictures_go_when_nothing_names_them(world: World, store: Store, clock: Clock) -> None:
    world.do("a.jpg", question="Mine?", name="a")
    world.submit("b.jpg", question="Ours?", name="b")
    clock.pass_(DAY)
    store.settle()
    list(store.housekeeping.remove_batch(1, "a"))
    assert [row.question for row in world.rows(sa.select(t.prompts.c.question))] == ["Ours?"]
    assert list(store.housekeeping.prune("images", clock.now)) == [1]
    assert count(world, t.images) == 0


def test_pictures_are_looked_at_some_at_a_time(
    world: World, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "_DIGESTS", 3)
    world.submit(*(f"{number}.jpg" for number in range(4)))
    named = [b"\x01" * 32, b"\x02" * 32, b"\x03" * 32, b"\x07" * 32]
    reads = [PictureRead(sha256=digest, bytes=5, width=1, height=1, format="PNG") for digest in named]
    world.finish(*(answer(claim, pictures=(read,)) for claim, read in zip(world.claim(), reads, strict=True)))
    clock.pass_(DAY)
    with store._writing() as (connection, now):
        for number in (4, 6, 8, 9, 0xAA):
            row = {"bytes": 5, "width": 1, "height": 1, "format": "PNG", "first_seen": now - 1}
            connection.execute(t.images.insert().values(sha256=bytes([number]) * 32, **row))
    assert store.housekeeping.count("images", clock.now) == {"picture": 5}
    assert store.housekeeping.count("images", clock.now - 1) == {"picture": 0}
    steps = store.housekeeping.prune("images", clock.now)
    assert next(steps) == 2
    world.submit("late.jpg", question="Late?")  # a job comes to name one before its turn
    late = PictureRead(sha256=b"\x09" * 32, bytes=5, width=1, height=1, format="PNG")
    world.finish(*(answer(claim, pictures=(late,)) for claim in world.claim(world.ids()[-1:])))
    assert sum(steps) == 2
    assert [bytes(row.sha256) for row in world.rows(sa.select(t.images.c.sha256).order_by(t.images.c.sha256))] == [
        *named,
        late.sha256,
    ]


def test_workers_without_an_answer_go(world: World, store: Store, clock: Clock) -> None:
    world.do("a.jpg")
    idle = world.another_worker(lease_s=1)
    living = world.another_worker(pid=3)
    store.leave(idle)
    store.leave(world.worker)
    clock.pass_(100 * DAY)
    assert store.housekeeping.count("workers", clock.now) == {"worker": 1}
    prune(store, clock, "workers")
    assert sorted(row.id for row in world.rows(sa.select(t.workers.c.id))) == [world.worker, living]


def test_a_stopped_pruning_goes_on(world: World, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "_PAGE", pruning._PAGE.limit(2))
    world.do(*(f"{number}.jpg" for number in range(5)), name="a")
    store.settle()
    clock.pass_(100 * DAY)
    steps = store.housekeeping.prune("batches", clock.now)
    assert next(steps) == 2
    steps.close()
    check(store)
    assert count(world, t.jobs) == count(world, t.batch_items) == 3
    assert sum(store.housekeeping.prune("batches", clock.now)) == 4
    assert count(world, t.jobs) == count(world, t.batches) == 0


# --- batches -----------------------------------------------------------------------------------


def test_a_live_batch_is_not_removed(world: World, store: Store) -> None:
    batch = world.submit("a.jpg", name="mine")
    with pytest.raises(BatchLive, match="pixmill batch cancel mine"):
        list(store.housekeeping.remove_batch(batch, "mine"))
    (claim,) = world.claim()
    store.set_batch_state(batch, BatchState.CANCELLED)
    assert list(store.housekeeping.remove_batch(batch, "mine")) == [1]
    check(store)
    assert world.fail(claim, "cancelled") == "cancelled"  # the engine had it still
    assert prune(store, Clock(world.clock.now + 1), "jobs", days=0) == 1
    assert count(world, t.jobs) == 0


# --- forgetting --------------------------------------------------------------------------------


def everything(store: Store) -> str:
    """All rows of all tables, as text."""
    with store.reading() as connection:
        names = sa.inspect(connection).get_table_names()
        rows = [connection.exec_driver_sql(f'SELECT * FROM "{name}"').all() for name in names]
    return "\n".join(_spelled(value) for table in rows for row in table for value in row)


def _spelled(value: Any) -> str:
    return bytes(value).hex() if isinstance(value, bytes | memoryview) else str(value)


def forget(store: Store, *names: str, digests: Iterable[bytes] = (), beginnings: Iterable[str] = ()) -> Found:
    wanted = Wanted(
        locators=frozenset(f"file:///pictures/{name}" for name in names),
        digests=frozenset(digests),
        beginnings=frozenset(beginnings),
    )
    found = store.housekeeping.find(wanted)
    list(store.housekeeping.forget(found))
    store.housekeeping.scrub()
    return found


def secret_batch(world: World, store: Store) -> int:
    """Two names of one secret picture and another one, answered, with a follow-up question about each."""
    batch = store.open_batch("b", origin="run", spec={"paths": ["pictures/secret.jpg", "pictures/other.jpg"]}).id
    asked = [
        Item(spec=spec(name, question), row=row, ask=ask, custom_id=f"id-{name}", columns={"path": name}, when=when)
        for row, name in enumerate(("secret.jpg", "alias.jpg", "other.jpg"))
        for ask, question, when in (
            (0, f"What is {name}?", ()),
            (1, "More?", (Condition(ask=0, contains=True, values=("a",)),)),
            (2, f"Never {name}?", (Condition(ask=0, contains=True, values=("zzz",)),)),
        )
    ]
    store.add(batch, asked)
    store.seal(batch, 3)
    for _ in range(2):
        for claim in world.claim():
            hidden = "other" not in claim.pictures[0].locator
            read = READ if hidden else OTHER
            text = "a sphinx" if hidden else "a cat"
            world.finish(answer(claim, text, pictures=(read,)))
    store.settle()
    return batch


def test_nothing_tells_of_a_forgotten_picture(world: World, store: Store) -> None:
    secret_batch(world, store)
    review(store, world.answers()[0].id, "a griffin")
    found = forget(store, "secret.jpg")
    assert found.counts["job"] == 4 and found.counts["answer"] == 4
    left = everything(store)
    for trace in ("secret.jpg", "alias.jpg", "sphinx", "griffin", READ.sha256.hex()):
        assert trace not in left, trace
    for kept in ("other.jpg", "a cat", OTHER.sha256.hex(), "(forgotten)"):
        assert kept in left, kept
    assert forget(store, "secret.jpg").counts["job"] == 0
    check(store)


def raw(store: Store) -> bytes:
    """All bytes of the database's own files, of which a server's log is none."""
    with store.reading() as connection:
        if connection.dialect.name == "sqlite":
            place = Path(str(connection.engine.url.database))
            return b"".join(path.read_bytes() for path in place.parent.glob(f"{place.name}*"))
        connection.exec_driver_sql("CHECKPOINT")  # what lies in its memory is written
        folder = connection.exec_driver_sql("SHOW data_directory").scalar_one()
        number = connection.exec_driver_sql("SELECT oid FROM pg_database WHERE datname = current_database()")
        return b"".join(path.read_bytes() for path in Path(folder, "base", str(number.scalar_one())).iterdir())


def test_no_file_of_the_database_holds_a_forgotten_word(world: World, store: Store) -> None:
    """Neither as a key of the full-text index, nor in what is free in a page."""
    secret_batch(world, store)
    world.submit(*(f"{number}.jpg" for number in range(200)))
    world.finish(*(answer(claim, pictures=(OTHER,)) for claim in world.claim()))
    store.housekeeping.scrub()  # as a server does now and then: what is common is known
    traces = (b"secret.jpg", b"alias.jpg", b"What is alias", b"sphinx", READ.sha256)
    assert [trace for trace in traces if trace not in raw(store)] == []
    forget(store, "secret.jpg")
    assert [trace for trace in traces if trace in raw(store)] == []
    assert b"other.jpg" in raw(store)
    assert [row.text for row in store.views.answers("cat", limit=1)] == ["a cat"]


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_a_table_that_others_hold_is_written_anew_the_next_time(
    world: World, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrubbing, "PATIENCE_S", 0.05)
    secret_batch(world, store)
    store.housekeeping.mark()
    with store._engine.connect() as reader:
        reader.execute(sa.select(t.answers.c.id)).all()
        assert not store.housekeeping.scrub()
        assert store.housekeeping.is_marked()
    assert store.housekeeping.scrub()
    assert not store.housekeeping.is_marked()


@pytest.mark.parametrize("how", ["digest", "folder"])
def test_by_content_and_by_folder(world: World, store: Store, how: str) -> None:
    secret_batch(world, store)
    if how == "digest":
        assert store.housekeeping.digests_like(READ.sha256.hex()[:13]) == {READ.sha256}
        forget(store, digests=[READ.sha256])
        assert "other.jpg" in everything(store)
    else:
        forget(store, beginnings=["file:///pictures/"])
        assert (count(world, t.jobs), count(world, t.images), count(world, t.prompts)) == (0, 0, 0)
    assert "sphinx" not in everything(store) and READ.sha256.hex() not in everything(store)


def test_a_picture_in_an_engine_is_not_forgotten(world: World, store: Store) -> None:
    world.submit("a.jpg", name="mine")
    (claim,) = world.claim()
    with pytest.raises(PictureRunning, match="mine"):
        forget(store, "a.jpg")
    world.finish(answer(claim))
    forget(store, "a.jpg")
    assert count(world, t.jobs) == 0
    assert store.settle()  # of a batch without its only item nothing is left to wait for


def test_rows_that_never_became_jobs_go_too(world: World, store: Store) -> None:
    batch = world.open("b")
    store.add_invalid(
        batch,
        [
            InvalidRow(row=0, code="row_invalid", message="/pictures/a.jpg: no picture"),
            InvalidRow(row=1, code="row_invalid", message="/pictures/b.jpg: no picture"),
        ],
    )
    store.seal(batch, 2)
    forget(store, "a.jpg")
    assert [row.row_no for row in world.rows(sa.select(t.batch_items.c.row_no))] == [1]
    assert FACTS.path in everything(store)


def test_a_stopped_forgetting_finds_the_rest_again(world: World, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "STEP", 1)
    secret_batch(world, store)
    wanted = Wanted(locators=frozenset({"file:///pictures/secret.jpg"}))
    for left in (4, 3, 2, 1):
        found = store.housekeeping.find(wanted)
        assert found.counts["job"] == left
        steps = store.housekeeping.forget(found)
        assert next(steps) == 1
        steps.close()
        check(store)
    left = everything(store)
    for trace in ("secret.jpg", "alias.jpg", "sphinx", READ.sha256.hex()):
        assert trace not in left, trace


def test_what_would_ask_again_is_named(world: World, store: Store) -> None:
    world.do("a.jpg")
    with store._writing() as (connection, _):
        rule = {"rule": {}, "state": "active", "created": 1.0}
        spec = {"command": ["run", "/pictures/a.jpg"]}
        connection.execute(t.schedules.insert().values(name="nightly", spec=spec, **rule))
        connection.execute(
            t.schedules.insert().values(name="other", spec={"command": ["run", "/pictures/b.jpg"]}, **rule)
        )
    found = store.housekeeping.find(Wanted(locators=frozenset({"file:///pictures/a.jpg"})))
    assert found.doors == ["schedule nightly"]


def test_past_firings_go_but_for_the_newest(world: World, store: Store, clock: Clock) -> None:
    with store._writing() as (connection, _):
        connection.execute(t.schedules.insert().values(id=1, name="s", spec={}, rule={}, state="active", created=1.0))
        for due, outcome in ((1.0, "done"), (2.0, "running"), (3.0, "missed"), (4.0, "done")):
            connection.execute(t.firings.insert().values(schedule_id=1, due=due, outcome=outcome))
    assert prune(store, clock, "firings", days=1) == 2
    assert [row.due for row in world.rows(sa.select(t.firings.c.due).order_by(t.firings.c.due))] == [2.0, 4.0]


def test_the_newest_firing_that_found_something_stays(world: World, store: Store, clock: Clock) -> None:
    """By it the next one knows that finding nothing is a failure."""
    with store._writing() as (connection, _):
        connection.execute(t.schedules.insert().values(id=1, name="s", spec={}, rule={}, state="active", created=1.0))
        for due, found in ((1.0, 10), (2.0, 20), (3.0, 0), (4.0, 0)):
            connection.execute(t.firings.insert().values(schedule_id=1, due=due, outcome="done", found=found))
    assert prune(store, clock, "firings", days=1) == 2
    assert [row.due for row in world.rows(sa.select(t.firings.c.due).order_by(t.firings.c.due))] == [2.0, 4.0]
