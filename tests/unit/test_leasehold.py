"""workers.leasehold: what is due when, and what a worker hears."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from pipeline.owner import Owner
from pipeline.store.values import Lease
from workers.leasehold import REAP_EVERY_S, TELL_EVERY_S, Leasehold
from workers.patience import Patience


class Rows:
    """A store that says what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.lease = Lease.HELD

    def join(self) -> int:
        self.asked.append(("join",))
        return len(self.asked)

    def renew(self, worker: int, lease_s: float, status: Mapping[str, Any]) -> Lease:
        self.asked.append(("renew", worker, lease_s, status))
        return self.lease

    def reap(self, me: Owner) -> int:
        self.asked.append(("reap",))
        return 0


class House:
    def __init__(self, lease_s: float = 30.0) -> None:
        self.rows, self.time = Rows(), 0.0
        self.patiently = Patience(lambda error: True, lambda: self.time)
        self.hold = Leasehold(
            cast(Any, self.rows), self.rows.join, self.patiently, lease_s=lease_s, now=lambda: self.time
        )
        self.rows.asked.clear()

    def keep(self, after: float) -> list[str]:
        """What is asked of the store so much later."""
        self.time += after
        self.rows.asked.clear()
        assert self.hold.keep(lambda: {"held": 7}) == (self.rows.lease is not Lease.LOST)
        return [words[0] for words in self.rows.asked]


def test_it_is_renewed_and_the_dead_are_looked_for_only_when_due() -> None:
    house = House()
    assert house.keep(TELL_EVERY_S / 2) == []
    assert house.keep(TELL_EVERY_S / 2) == ["renew", "reap"]
    assert house.rows.asked[0] == ("renew", house.hold.worker, 30.0, {"held": 7})
    assert house.keep(TELL_EVERY_S / 2) == []


def test_a_short_lease_is_renewed_in_a_third_of_its_life() -> None:
    house = House(lease_s=1.5)
    assert [house.keep(0.25) for _ in range(4)] == [[], ["renew"], [], ["renew"]]


def test_who_lost_it_takes_nothing_from_others_before_it_begins_anew() -> None:
    house = House()
    house.rows.lease = Lease.LOST
    assert house.keep(REAP_EVERY_S) == ["renew"]
    before = house.hold.worker
    house.hold.begin_anew()
    assert house.rows.asked[-1] == ("join",)
    assert house.hold.worker != before


def test_a_wish_to_end_is_heard_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    house = House()
    assert not house.hold.drain_asked.done()
    house.rows.lease = Lease.DRAINING
    for _ in range(3):
        house.keep(TELL_EVERY_S)
    assert house.hold.drain_asked.done()
    assert caplog.text.count("action=drain") == 1


def test_after_the_database_was_away_others_may_renew_first() -> None:
    house = House()
    house.time = 100.0
    house.patiently.recovered = 100.0
    assert house.keep(0) == ["renew"]
    assert house.keep(REAP_EVERY_S) == ["renew", "reap"]
