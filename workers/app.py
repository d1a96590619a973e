"""The application that Celery's own commands work on: `celery -A workers.app status`, `inspect`, `purge`, Flower.

Workers are started with `pixmill worker run`, which brings an engine; Celery's `worker` would have none.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from celery import signals
from celery.app.amqp import AMQP, Queues

from pipeline import broker
from pipeline.settings import read_settings


class StandingQueues(AMQP):  # type: ignore[misc]
    """The queues are those in which something stands: `purge` acts on them."""

    @cached_property
    def queues(self) -> Queues:
        return self.Queues(broker.declared(broker.standing_queues(self.app)))


@signals.worker_init.connect  # type: ignore[untyped-decorator]
def refuse(**_: Any) -> None:
    raise SystemExit("Error: a worker needs a model and a device. Start it with: pixmill worker run -m MODEL")


app = broker.app(read_settings(), amqp=StandingQueues)
