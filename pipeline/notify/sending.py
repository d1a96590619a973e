"""Sending: who is told now that a batch has ended, by whichever program can."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict

from pipeline.display import printable, to_json
from pipeline.errors import ForbiddenUrl, NoticeRefused
from pipeline.notify import commands
from pipeline.notify.post import post
from pipeline.remote.policy import Policy
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.notices import Kind, Notice, NoticeState
from pipeline.store.values import OpenBatch

log = logging.getLogger(__name__)

Post = Callable[[str, bytes, str, Policy], None]


class Sender:
    """Tells those of whom this machine can: addresses it may reach and sign for, commands it has."""

    def __init__(self, settings: Settings, store: Store, *, post: Post = post) -> None:
        self._store, self._post = store, post
        self._policy, self._secret = Policy.of(settings), settings.on_done_secret
        self._commands: Mapping[str, tuple[str, ...]] = settings.commands
        self._left: dict[tuple[Kind, str], str] = {}
        """who is left to other machines, and why"""

    def look(self, batch: int | None = None) -> int:
        """Send what is due, of one batch or of all. Returns how many were received."""
        mine = [notice for notice in self._store.notices.due(batch) if self._can(notice)]
        return sum(self._send(notice) for notice in mine if self._store.notices.take(notice))

    def _can(self, notice: Notice) -> bool:
        """Where this machine cannot, it says why once: perhaps no other one can either."""
        whom = (notice.kind, notice.target)
        if (why := self._hindrance(notice)) and self._left.get(whom) != why:
            log.warning("action=notice_left batch=%s target=%s reason=%s", notice.batch, notice.target, why)
            self._left[whom] = why
        return why is None

    def _hindrance(self, notice: Notice) -> str | None:
        if notice.kind is Kind.COMMAND:
            return None if notice.target in self._commands else "This machine's pixmill.toml names no such command."
        if self._secret is None:
            return "PIXMILL_ON_DONE_SECRET is not set on this machine."
        try:
            self._policy.check(notice.target)
        except ForbiddenUrl as error:
            return str(error)
        return None

    def _send(self, notice: Notice) -> bool:
        """Whether it was received. A try that cannot end differently is the last one."""
        try:
            self._tell(notice, self._body(notice))
        except (NoticeRefused, ForbiddenUrl) as error:
            for_good = isinstance(error, ForbiddenUrl)
            log.warning("action=notice_held batch=%s target=%s reason=%s", notice.batch, notice.target, error)
            self._store.notices.not_sent(notice, str(error), for_good=for_good)
            return False
        self._store.notices.sent(notice)
        log.info("action=notice_sent batch=%s target=%s", notice.batch, notice.target)
        return True

    def _tell(self, notice: Notice, body: bytes) -> None:
        if notice.kind is Kind.COMMAND:
            commands.run(self._commands[notice.target], body)
        else:
            self._post(notice.target, body, self._secret or "", self._policy)

    def _body(self, notice: Notice) -> bytes:
        """The same for all who are told; `notice` stays the same when it is sent again."""
        row = self._store.views.batch(notice.batch)
        told = {
            "event": "batch.ended",
            "notice": notice.id,
            "batch": row.name,
            "state": row.state,
            "origin": row.origin,
            "counts": asdict(row.counts),
            "errors": row.errors,
            "created": row.created,
            "finished": row.finished,
        }
        return to_json(told, ascii_only=True).encode()


def tell(settings: Settings, store: Store, batch: OpenBatch, *, say: Callable[[str], None]) -> None:
    """Tell of one batch here and now, if it has ended, and say who could not be told."""
    Sender(settings, store).look(batch.id)
    for notice in store.notices.of(batch.name):
        if notice.error and notice.state is not NoticeState.SENT:
            more = "" if notice.state is NoticeState.FAILED else " A worker or `pixmill schedule run` tries again."
            say(f"{printable(notice.target)}: {printable(notice.error)}{more}")
