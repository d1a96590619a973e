"""workers.serving: what a worker does besides feeding its engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, cast

import pytest

from pipeline.errors import BrokerUnreachable
from pipeline.jobs import Lane
from pipeline.store.values import Ticket
from workers.serving import Service


class Away:
    """A queue that cannot be looked at."""

    def __init__(self, error: Exception) -> None:
        self.error: Exception | None = error

    def send(self, ticket: Ticket) -> None:
        raise AssertionError

    def standing(self) -> Mapping[Lane, int]:
        if self.error:
            raise self.error
        return dict.fromkeys(Lane, 1000)


class Idle:
    """A worker whose jobs have ended at once."""

    def __init__(self) -> None:
        self.ended: Future[None] = Future()
        self.drain_asked: Future[None] = Future()
        self.taken: list[Sequence[int]] = []

    @property
    def feeder(self) -> Idle:
        return self

    def take(self, ids: Sequence[int]) -> Future[None]:
        self.taken.append(ids)
        ended: Future[None] = Future()
        ended.set_result(None)
        return ended


@pytest.mark.parametrize("error", [BrokerUnreachable(url="redis://x", why="refused"), AttributeError("hostname")])
def test_a_ticket_is_answered_whatever_keeps_new_ones_from_going_out(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    worker, queue = Idle(), Away(error)
    service = Service(cast(Any, None), queue, "demo", cast(Any, worker), 1.0)
    service.answer([1])
    service.answer([2])
    assert worker.taken == [[1], [2]]
    assert "action=tickets_held" in caplog.text
    queue.error = None
    service.answer([3])
    assert "action=tickets_go_out" in caplog.text
