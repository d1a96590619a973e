"""Answering tickets: the one task, which checks what a message says and hands its jobs to the worker."""

from __future__ import annotations

import logging
import reprlib
from collections.abc import Callable, Sequence

from celery import Celery

from pipeline.broker import TASK
from pipeline.queue import TICKET

log = logging.getLogger(__name__)

LARGEST_ID = 2**63 - 1


def add_task(app: Celery, answer: Callable[[Sequence[int]], None]) -> None:
    """Register the task that tickets name. What is no ticket is logged and gone: Redis is not ours alone."""

    @app.task(name=TASK)  # type: ignore[untyped-decorator]
    def task(*args: object, **named: object) -> None:
        ids = ids_of(args, named)
        if ids is None:
            log.warning("action=ticket_refused arguments=%s", reprlib.repr((*args, named) if named else args))
        else:
            answer(ids)


def ids_of(args: Sequence[object], named: object = None) -> list[int] | None:
    """The jobs a ticket names, if it is one: a list of a few numbers that could be ids, and nothing else."""
    if named or len(args) != 1:
        return None
    (ids,) = args
    if not isinstance(ids, list) or not 0 < len(ids) <= TICKET:
        return None
    # Exactly int: True is one, and no id.
    return ids if all(type(id) is int and 0 < id <= LARGEST_ID for id in ids) else None
