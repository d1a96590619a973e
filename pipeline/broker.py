"""The broker: Celery on Redis, which carries tickets between machines. Messages are JSON and hold ids, no more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from celery import Celery
from kombu.entity import Exchange
from kombu.entity import Queue as Declared
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from pipeline.errors import BrokerUnreachable
from pipeline.jobs import Lane
from pipeline.settings import Settings
from pipeline.store.values import Ticket

TASK = "pixmill.answer"
PREFIX = "pixmill."

_TRANSPORT = {
    "queue_order_strategy": "priority",  # the high lane before the normal one, always
    "priority_steps": [0],  # lanes are queues; kombu would ask Redis for four lists a queue
    # A killed worker's tickets come back after this. Their jobs are sent again long before,
    # when the queue is empty: a ticket too many claims nothing.
    "visibility_timeout": 600,
    "unacked_restore_interval": 30,
    "unacked_restore_throttle": 1,
    "socket_keepalive": True,
    "socket_timeout": 10,
    "socket_connect_timeout": 4,
    "health_check_interval": 25,
    # Whoever publishes gives up soon and says so; without these kombu 5.7 tries for ever.
    # Workers try for ever all the same (broker_connection_max_retries).
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.2,
    "interval_max": 0.2,
}
_SETTINGS = {
    "broker_transport_options": _TRANSPORT,
    "broker_connection_max_retries": None,
    "broker_connection_retry_on_startup": True,
    "task_acks_late": True,
    "task_ignore_result": True,
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2},
    "task_default_queue": "pixmill",
    "worker_prefetch_multiplier": 1,
    "worker_disable_rate_limits": True,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
}


def app(settings: Settings, **options: Any) -> Celery:
    """The Celery application, for publishing and for working."""
    # Not set as current: other Celery applications of a program stay as they are.
    made = Celery("pixmill", broker=settings.broker_url, set_as_current=False, **options)
    made.conf.update(_SETTINGS)
    return made


def queue_name(model: str, lane: Lane) -> str:
    return f"{PREFIX}{model}.{lane}"


def declared(names: Iterable[str]) -> list[Declared]:
    """Queues by their names, reached through the exchange without a name.

    Bindings to an exchange would be kept in Redis, and be gone after a flush: kombu then refuses to publish.
    """
    nameless = Exchange("")  # type: ignore[no-untyped-call]
    return [Declared(name, nameless, routing_key=name) for name in names]  # type: ignore[no-untyped-call]


def standing_queues(app: Celery) -> list[str]:
    """The names of the queues in which something stands, whatever their models."""
    with _connected(app) as redis:
        found = redis.scan_iter(match=f"{PREFIX}*", _type="list")
        return sorted(name.decode("utf-8", "replace") for name in found)


class CeleryQueue:
    """A model's queues on the broker, one for each lane."""

    def __init__(self, app: Celery, model: str) -> None:
        self._app = app
        self._names = {lane: queue_name(model, lane) for lane in Lane}
        self._declared = dict(zip(Lane, declared(self._names.values()), strict=True))

    def send(self, ticket: Ticket) -> None:
        with _reaching(self._app):
            self._app.send_task(TASK, args=(list(ticket.ids),), queue=self._declared[ticket.lane])

    def standing(self) -> Mapping[Lane, int]:
        """What waits in Redis. Not counted is what workers hold unacknowledged: killed ones hold it for long."""
        with _connected(self._app) as redis:
            pipeline = redis.pipeline(transaction=False)
            for name in self._names.values():
                pipeline.llen(name)
            return dict(zip(self._names, pipeline.execute(), strict=True))


@contextmanager
def _connected(app: Celery) -> Iterator[Any]:
    """A client of the Redis behind a Celery connection: what kombu makes of an address stays its own."""
    with _reaching(app), app.pool.acquire(block=True) as connection:
        yield connection.default_channel.client


@contextmanager
def _reaching(app: Celery) -> Iterator[None]:
    """Whatever keeps Redis from us comes out as one error with a sentence, and without the password."""
    try:
        yield
    except (OperationalError, RedisError, OSError) as error:
        shown = app.connection_for_write().as_uri()
        raise BrokerUnreachable(url=shown, why=" ".join(str(error).split()).rstrip(".")) from error
