"""workers.tray: a ticket ends when its last job has, and whatever becomes of the feeder."""

from __future__ import annotations

from workers.tray import Tray


def test_a_ticket_ends_with_its_last_job() -> None:
    tray = Tray()
    ended = tray.put([1, 2, 3])
    assert len(tray) == 3
    taken = tray.take(2)
    assert [id for id, _ in taken] == [1, 2, 3], "a ticket is not torn apart"
    for _, ticket in taken:
        assert not ended.done()
        ticket.tear()
    assert ended.done()


def test_a_ticket_without_jobs_has_ended() -> None:
    assert Tray().put([]).done()


def test_clearing_ends_what_waits_but_not_what_was_taken() -> None:
    tray = Tray()
    taken, waiting = tray.put([1]), tray.put([2, 3])
    ((_, ticket),) = tray.take(1)
    tray.clear()
    assert len(tray) == 0 and waiting.done() and not taken.done()
    ticket.tear()
    assert taken.done()


def test_tickets_are_taken_whole_and_no_more_of_them_than_are_needed() -> None:
    tray = Tray()
    for first in (0, 10, 20):
        tray.put([first, first + 1, first + 2])
    assert [id for id, _ in tray.take(4)] == [0, 1, 2, 10, 11, 12]
    assert tray.take(0) == []
    assert len(tray) == 3


def test_a_closed_tray_takes_nothing_more() -> None:
    tray = Tray()
    before = tray.put([1])
    tray.close()
    assert before.done()
    assert tray.put([2]).done()
    assert len(tray) == 0
