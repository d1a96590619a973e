from __future__ import annotations

import pytest

from pipeline.errors import DatabaseBusy, DatabaseFull, DatabaseRefused, DatabaseUnreachable, PixmillError
from workers.patience import LONGEST_PAUSE_S, START_S, Patience, while_starting

AWAY = DatabaseUnreachable(url="here", why="it restarts")


class Wobbly:
    """Fails with what it is given, then works."""

    def __init__(self, *errors: PixmillError) -> None:
        self.errors = list(errors)

    def __call__(self, value: int, *, more: int = 0) -> int:
        if self.errors:
            raise self.errors.pop(0)
        return value + more


def test_a_call_is_made_until_it_works() -> None:
    slept: list[float] = []
    patience = Patience(lambda _: False, now=lambda: 7.0, sleep=slept.append)
    assert patience(Wobbly(AWAY, DatabaseBusy(seconds=1), AWAY), 1, more=2) == 3
    assert slept == [0.1, 0.2, 0.4]
    assert (patience.lapses, patience.recovered) == (3, 7.0)


def test_pauses_stay_short() -> None:
    slept: list[float] = []
    Patience(lambda _: False, sleep=slept.append)(Wobbly(*[AWAY] * 9), 1)
    assert max(slept) == LONGEST_PAUSE_S


def test_what_works_at_once_is_no_lapse() -> None:
    patience = Patience(lambda _: False)
    assert patience(Wobbly(), 1) == 1
    assert patience.lapses == 0


def test_it_gives_up_when_there_is_no_time_left() -> None:
    with pytest.raises(DatabaseUnreachable):
        Patience(lambda _: True)(Wobbly(AWAY), 1)


def test_other_errors_are_not_waited_for() -> None:
    with pytest.raises(DatabaseFull):
        Patience(lambda _: False)(Wobbly(DatabaseFull(url="here")), 1)


def test_a_starting_worker_waits_for_its_database_but_not_for_a_password() -> None:
    clock = iter([0.0, 10.0, START_S + 1])
    patience = while_starting(now=lambda: next(clock))
    with pytest.raises(DatabaseUnreachable, match="it restarts"):
        patience(Wobbly(AWAY, AWAY, AWAY), 1)
    refused = DatabaseRefused(url="here", why="no such user")
    with pytest.raises(DatabaseRefused):
        while_starting()(Wobbly(refused), 1)
