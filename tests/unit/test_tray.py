"""workers.tray: a ticket ends when its last job has, and whatever becomes of the feeder."""

from __future__ import annotations

from workers.tray import Tray


def test_a_ticket_ends_with_its_last_job() -> None:
    tray = Tray()
    ended = tray.put([1, 2, 3])
    assert len(tray) == 3
    taken = tray.take(2) + tray.take(5)
    assert [id for id, _ in taken] == [1, 2, 3]
    for _, ticket in taken:
        assert not ended.done()
        ticket.tear()
    assert ended.done()


def test_a_ticket_without_jobs_has_ended() -> None:
    assert Tray().put([]).done()


def test_clearing_ends_what_waits_but_not_what_was_taken() -> None:
    tray = Tray()
    ended = tray.put([1, 2])
    ((_, ticket),) = tray.take(1)
    tray.clear()
    assert len(tray) == 0 and not ended.done()
    ticket.tear()
    assert ended.done()


def test_a_closed_tray_takes_nothing_more() -> None:
    tray = Tray()
    before = tray.put([1])
    tray.close()
    assert before.done()
    assert tray.put([2]).done()
    assert len(tray) == 0
