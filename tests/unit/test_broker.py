"""pipeline.broker, pipeline.queue: what is sent, and when."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from pipeline import broker
from pipeline.errors import BrokerUnreachable
from pipeline.jobs import Lane
from pipeline.queue import WINDOW, top_up
from pipeline.settings import Settings, read_settings
from pipeline.store import Store
from pipeline.store.values import Ticket
from tests import servers
from tests.servers import Redis
from tests.store_world import MODEL, World


def settings(url: str) -> Settings:
    return read_settings(environ={"PIXMILL_BROKER_URL": url, "PIXMILL_HOME": "/nowhere"})


@dataclass
class Shelf:
    """A queue that keeps what it is sent."""

    tickets: list[Ticket] = field(default_factory=list)
    more: int = 0
    """tickets of the normal lane that stand there already"""

    def send(self, ticket: Ticket) -> None:
        self.tickets.append(ticket)

    def standing(self) -> Mapping[Lane, int]:
        return {lane: sum(t.lane == lane for t in self.tickets) + self.more * (lane == Lane.NORMAL) for lane in Lane}


# --- topping up ----------------------------------------------------------------------------------


@pytest.fixture
def backend() -> str:
    return "sqlite"


def names(count: int, prefix: str = "p") -> list[str]:
    return [f"{prefix}{number}.jpg" for number in range(count)]


def test_the_window_bounds_what_stands(world: World, store: Store) -> None:
    world.submit(*names(200))
    shelf = Shelf()
    assert top_up(store, shelf, MODEL, window=4) == 4
    assert top_up(store, shelf, MODEL, window=4) == 0
    assert [len(ticket.ids) for ticket in shelf.tickets] == [16] * 4


def test_a_lane_that_is_more_than_half_full_is_left_alone(world: World, store: Store) -> None:
    world.submit(*names(200))
    shelf = Shelf(more=3)
    assert top_up(store, shelf, MODEL, window=4) == 0
    shelf.more = 2
    assert top_up(store, shelf, MODEL, window=4) == 2


def test_a_full_lane_does_not_keep_another_s_tickets(world: World, store: Store) -> None:
    world.submit(*names(200))
    shelf = Shelf()
    top_up(store, shelf, MODEL, window=4)
    world.submit("urgent.jpg", lane=Lane.HIGH)
    assert top_up(store, shelf, MODEL, window=4) == 1
    assert shelf.tickets[-1].lane == Lane.HIGH


def test_lost_tickets_are_sent_again_once_nothing_stands(world: World, store: Store) -> None:
    world.submit(*names(20))
    shelf = Shelf()
    top_up(store, shelf, MODEL, window=4)
    lost, shelf.tickets = shelf.tickets, []
    assert top_up(store, shelf, MODEL, window=4, again=False) == 0
    assert top_up(store, shelf, MODEL, window=4) == 2
    assert shelf.tickets == lost


# --- Redis ---------------------------------------------------------------------------------------


def test_tickets_stand_in_the_queue_of_their_lane(redis: Redis) -> None:
    queue = broker.CeleryQueue(broker.app(settings(redis.url)), "a model, v1.5")
    queue.send(Ticket((1, 2), Lane.HIGH))
    queue.send(Ticket((3,), Lane.LOW))
    queue.send(Ticket((4,), Lane.LOW))
    assert queue.standing() == {Lane.HIGH: 1, Lane.NORMAL: 0, Lane.LOW: 2}
    assert redis.client.llen(b"pixmill.a model, v1.5.low") == 2


def test_what_stands_is_found_by_name(redis: Redis) -> None:
    app = broker.app(settings(redis.url))
    broker.CeleryQueue(app, "one").send(Ticket((1,), Lane.LOW))
    broker.CeleryQueue(app, "two").send(Ticket((1,), Lane.HIGH))
    redis.client.set("pixmill.other", "not ours")
    assert broker.standing_queues(app) == ["pixmill.one.low", "pixmill.two.high"]


def test_a_flush_between_two_tickets_harms_nothing(redis: Redis) -> None:
    queue = broker.CeleryQueue(broker.app(settings(redis.url)), "m")
    queue.send(Ticket((1,), Lane.NORMAL))
    redis.client.flushall()
    queue.send(Ticket((2,), Lane.NORMAL))
    assert queue.standing()[Lane.NORMAL] == 1


def test_a_broker_that_is_away_is_said_soon_and_without_its_password() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # not listening: refused
        url = f"redis://user:geheim@127.0.0.1:{nobody.getsockname()[1]}/0"
        queue = broker.CeleryQueue(broker.app(settings(url)), "m")
        for attempt in (queue.standing, lambda: queue.send(Ticket((1,), Lane.LOW))):
            with pytest.raises(BrokerUnreachable) as refused:
                attempt()
            assert "geheim" not in str(refused.value)
            assert "Connection refused. Start Redis" in str(refused.value)


def test_a_wrong_password_is_said_without_it() -> None:
    with servers.redis(password="geheim") as server:
        right, wrong = server.url, server.url.replace("geheim", "falsch")
        assert broker.CeleryQueue(broker.app(settings(right)), "m").standing()[Lane.LOW] == 0
        with pytest.raises(BrokerUnreachable) as refused:
            broker.CeleryQueue(broker.app(settings(wrong)), "m").standing()
        assert "falsch" not in str(refused.value)


def test_messages_are_json_and_acknowledged_late() -> None:
    conf = broker.app(settings("redis://localhost")).conf
    assert (conf.task_serializer, conf.accept_content) == ("json", ["json"])
    assert conf.task_acks_late
    assert conf.task_ignore_result
    assert conf.worker_prefetch_multiplier == 1
    assert conf.broker_transport_options["queue_order_strategy"] == "priority"
    assert 0 < WINDOW <= 300
