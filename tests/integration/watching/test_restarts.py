"""pipeline.watching: watchers that are killed, started anew, or are two."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import SetupError
from pipeline.owner import Owner
from pipeline.store.watched import FileState
from pipeline.store.watches import Watches
from pipeline.watching import holding
from pipeline.watching.explaining import explain
from tests.house import House, draw, draw_many
from tests.watched import Watch, child, lines, once


def test_killed_and_started_again_it_neither_repeats_nor_forgets(house: House, folder: Path, url: str) -> None:
    paths = draw_many(folder, 80)
    first = child(url, folder)
    answers = 0
    for line in lines(first):
        answers += line["event"] == "answered"
        if answers == 20:
            first.kill()
            break
    first.communicate()
    paths += draw_many(folder / "meanwhile", 20)
    with Watch(house, folder, oneshot=True) as watch:
        watch.to_the_end()
        assert watch.states() == {FileState.DONE: 100}
    once(house, *paths)


def test_rules_of_a_new_start_hold_for_what_waits_too(house: House, folder: Path) -> None:
    path = draw(folder / "a.bmp", 1)
    with Watch(house, folder, stable_for=600.0) as watch:
        watch.until(lambda: watch.file(path) is not None)
    with Watch(house, folder, exclude=("a.*",)) as watch:
        (found,) = explain(house.store, str(path), None)
        assert (found.state, found.reason) == ("ignored", "--exclude leaves it out.")
        assert watch.until_told("gone")["reason"] == "it is left alone now, since --exclude leaves it out"
    once(house)
    with Watch(house, folder) as watch:
        watch.until_answered(1)
    once(house, path)


def test_of_two_watchers_of_one_folder_one_stands_by(house: House, folder: Path, url: str) -> None:
    first, second = child(url, folder), child(url, folder)
    one, two = lines(first), lines(second)
    events = {}
    for process, said in ((first, one), (second, two)):
        events[process.pid] = next(line["event"] for line in said if line["event"] in ("watching", "standing_by"))
    assert sorted(events.values()) == ["standing_by", "watching"]
    at_work, waits = (first, second) if events[first.pid] == "watching" else (second, first)
    paths = draw_many(folder, 20)
    said = one if at_work is first else two
    for _ in range(20):
        next(line for line in said if line["event"] == "answered")
    at_work.kill()
    at_work.communicate()
    paths.append(draw(folder / "later.bmp", 99))
    next(line for line in (two if waits is second else one) if line["event"] == "answered")
    waits.terminate()
    waits.communicate()
    assert waits.returncode == 0
    once(house, *paths)


def test_a_watch_is_held_while_its_watcher_is_busy_and_another_s_taking_over_ends_it(
    house: House, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "LEASE_S", 0.3)
    real, renewed, store, other = Watches.renew, threading.Semaphore(0), house.store, replace(Owner.current(), host="b")

    def renew(*args: Any) -> bool:
        still = real(*args)
        renewed.release()
        return still

    monkeypatch.setattr(Watches, "renew", renew)

    def be_busy(event: str, facts: dict[str, Any]) -> None:
        if event == "taken":
            for _ in range(5):  # longer than a lease
                assert renewed.acquire(timeout=60)

    with pytest.raises(SetupError, match="has taken over"), Watch(house, folder, heard=be_busy) as watch:
        hold = watch.watcher.hold
        draw(folder / "a.bmp", 1)
        watch.until_answered(1)
        assert store.watches.open("in", {}, other, 30.0) == hold.owner
        store.watches.leave(hold.id, hold.owner)
        assert store.watches.open("in", {}, other, 30.0) == hold.id
        watch.to_the_end()
    assert store.watches.rows()[0].running
