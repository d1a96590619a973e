"""Follow-up questions on the way that all jobs go: real workers with the fake engine, here and over a broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from pipeline import tables as t
from pipeline.conditions import Condition
from pipeline.dispatch import dispatch
from pipeline.locators import Picture
from pipeline.prompts import Ask, Prompt
from pipeline.sources.rows import rows_of
from pipeline.store import Store
from pipeline.submit import Entry, ask
from tests.fleet import Fleet
from tests.house import House, draw_many
from tests.store_world import check

PICTURES = 40
SLOW = {"step_s": 0.01, "tokens": (1, 4)}

# The fake engine repeats the question and tells the first pixel, whose red is the picture's number.
ASKED = (
    Ask(prompt=Prompt.ask("What?"), name="what"),
    Ask(prompt=Prompt.ask("Small?"), name="small", when=(Condition(ask=0, values=("|4x3|1",), contains=True),)),
    Ask(prompt=Prompt.ask("Smaller?"), name="smaller", when=(Condition(ask=1, values=("|4x3|1,",), contains=True),)),
    Ask(prompt=Prompt.ask("Never?"), name="never", when=(Condition(ask=0, values=("no",)),)),
)
SMALL = [1, *range(10, 20)]


def entries(paths: list[Path], model: str) -> Iterator[Entry]:
    return ask(rows_of(Picture.at(path, None) for path in paths), lambda row: ASKED, model)


def asked(store: Store, batch: int) -> dict[str, list[int]]:
    """The rows in which each question is asked."""
    columns = t.batch_items.c.name, t.batch_items.c.row_no
    with store.reading() as connection:
        found = connection.execute(sa.select(*columns).where(t.batch_items.c.batch_id == batch).order_by(*columns))
        rows: dict[str, list[int]] = {}
        for name, row in found:
            rows.setdefault(name, []).append(row)
        return rows


EXPECTED = {"what": [*range(PICTURES)], "small": SMALL, "smaller": [1]}


def test_a_local_run_ends_after_its_follow_ups(sqlite_store: Store, tmp_path: Path) -> None:
    house, paths = House(sqlite_store), draw_many(tmp_path / "in", PICTURES)
    outcome = house.run_items(entries(paths, house.alias))  # type: ignore[arg-type]
    assert asked(sqlite_store, outcome.batch) == EXPECTED
    assert (outcome.counts.done, outcome.counts.unfinished) == (PICTURES + len(SMALL) + 1, 0)
    again = house.run_items(entries(paths, house.alias))  # type: ignore[arg-type]
    assert (again.added.linked_done, again.added.waiting, again.tally["answered"]) == (outcome.counts.done, 0, 0)
    check(sqlite_store)


def test_workers_share_follow_ups_also_when_one_is_killed(ships: Fleet, tmp_path: Path) -> None:
    House(ships.store, alias=ships.alias).model()
    doomed = ships.start(script=SLOW)
    batch = ships.store.open_batch(None, origin="test", spec={}).id
    dispatch(ships.store, ships.queue, ships.alias, batch, entries(draw_many(tmp_path / "in", PICTURES), ships.alias))
    ships.wait(batch, lambda counts: counts.total > PICTURES + 3)
    doomed.kill()
    ships.start(script=SLOW)
    counts = ships.wait(batch)
    assert (counts.done, counts.total) == (PICTURES + len(SMALL) + 1,) * 2
    assert asked(ships.store, batch) == EXPECTED
    ships.until(lambda: ships.store.views.batch_state(batch), lambda state: state == "completed")
    check(ships.store)
