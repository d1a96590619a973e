"""The door: what a worker takes from its queues in Redis is a ticket, or is logged and gone. Redis is not ours alone.

Celery's worker (5.7) ends over a message in which something is amiss: no JSON, a header that is missing, a body
without three parts. It puts the message back as it goes, and ends over it again when it is started anew. So what
goes on to it from here was made here, and holds nothing of a message but its names and the ids of jobs.
"""

from __future__ import annotations

import json
import logging
import re
import reprlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis

from pipeline import broker
from pipeline.jobs import LARGEST_ID
from pipeline.queue import TICKET

log = logging.getLogger(__name__)

_LONGEST_BODY = 4096
"""characters; a full ticket of the largest ids needs 560"""
_NAME = re.compile(r"[\w-]{1,64}", re.ASCII)
_UNUSED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def guard() -> None:
    """From now on the connections of this process take nothing else from their queues."""
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), f"{__name__}:Transport"))


class Channel(redis.Channel):
    """Reads messages, and refuses those that are no JSON."""

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]
        except (ValueError, RecursionError) as error:
            log.warning("action=ticket_refused reason=%s", error)
            raise Empty from error


class Transport(redis.Transport):
    """Delivers messages, and refuses those that are no tickets. Celery's control commands have a queue of their own."""

    Channel = Channel

    def _deliver(self, message: Any, queue: str) -> None:
        if queue.startswith(broker.PREFIX):
            said, made = read(message, queue)
            if made is None:
                log.warning("action=ticket_refused said=%s", reprlib.repr(said))
                return
            message = made
        super()._deliver(message, queue)  # type: ignore[no-untyped-call]


def read(message: Any, queue: str) -> tuple[object, dict[str, Any] | None]:
    """What a message says, as far as it can be read; and, if it is a ticket, a message that says nothing else."""
    match message:
        case {
            "body": str(body),
            "headers": {"task": broker.TASK, "id": str(id)},
            "properties": {"delivery_tag": str(tag)},
        }:
            said = _said(body)
            ids = ids_of(said)
            named = _NAME.fullmatch(id) and _NAME.fullmatch(tag)
            return said, made(ids, id, tag, queue) if ids and named else None
    return message, None


def ids_of(said: object) -> list[int] | None:
    """The jobs a ticket names, if it is one: a list of a few numbers that could be ids, and nothing else."""
    match said:
        case [[list(ids)], {**named}, dict()] if 0 < len(ids) <= TICKET and not named:
            # Exactly int: True is one, and no id.
            return ids if all(type(id) is int and 0 < id <= LARGEST_ID for id in ids) else None
    return None


def made(ids: Sequence[int], id: str, tag: str, queue: str) -> dict[str, Any]:
    """A ticket as Celery's worker wants it."""
    body = json.dumps([[ids], {}, _UNUSED])
    headers = {"lang": "py", "task": broker.TASK, "id": id, "root_id": id, "argsrepr": repr((ids,)), "kwargsrepr": "{}"}
    return {
        "body": b64encode(body.encode()).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {**headers, "parent_id": None, "group": None, "retries": 0},
        "properties": {
            "correlation_id": id,
            "delivery_tag": tag,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "delivery_mode": 2,
            "priority": 0,
            "body_encoding": "base64",
        },
    }


def _said(body: str) -> object:
    """A body's arguments, named arguments and options; or itself, where it is none."""
    if len(body) > _LONGEST_BODY:
        return body
    try:
        return json.loads(b64decode(body, validate=True))
    except (ValueError, RecursionError):
        return body
