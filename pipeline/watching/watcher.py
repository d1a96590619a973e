"""The watcher: in turns it looks, takes what is ready, and sees to what is answered. One thread does it all.

What it knows is in the store. Killed at any moment, the next one goes on: what was seen is watched anew, what was
asked is linked to its jobs, and what is to be done afterwards may be done twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pipeline.errors import PixmillError, SetupError
from pipeline.store import Store
from pipeline.store.watched import FileState
from pipeline.watching.afterwards import Afterwards
from pipeline.watching.collecting import Collecting
from pipeline.watching.drops import Drops
from pipeline.watching.events import Events
from pipeline.watching.folders import Folders
from pipeline.watching.holding import Hold
from pipeline.watching.looking import Looking
from pipeline.watching.plan import Plan
from pipeline.watching.records import STORE_AWAY, Records
from pipeline.watching.rules import Rules
from pipeline.watching.taking import Taking
from pipeline.watching.telling import Tell

LOOK_S = 1.0
_FULL_S = 0.2
_TENDING_SHARE = 0.1
"""Share of the time that tending may take: it looks through all that failed."""


class Bell(Protocol):
    """Wakes the watcher, and tells it to stop."""

    times: int

    def wait(self, seconds: float) -> None: ...

    def wake(self) -> None: ...


class Answerer(Protocol):
    """Whoever sees to it that what was asked is answered."""

    def turn(self) -> None:
        """Called often while there is something to answer."""


@dataclass(kw_only=True)
class Watcher:
    """One watch at work."""

    store: Store
    hold: Hold
    name: str
    drops: Drops
    rules: Rules
    answerer: Answerer
    bell: Bell
    clock: Callable[[], float]
    """never jumps"""
    tell: Tell
    media_root: Path | None = None
    allowed_roots: tuple[Path, ...] | None = None
    _next_tending: float = float("-inf")
    _away: bool = False
    _records: Records = field(init=False)
    _taking: Taking = field(init=False)
    _collecting: Collecting = field(init=False)

    def __post_init__(self) -> None:
        files = self.store.watches.files(self.hold.id)
        self._records = Records(files=files, tell=self.tell, media_root=self.media_root)
        self._taking = Taking(records=self._records, rules=self.rules, drops=self.drops, clock=self.clock)
        afterwards = Afterwards.of(self.rules, self.media_root, self.allowed_roots)
        self._collecting = Collecting(
            store=self.store, records=self._records, plan=self.rules.plan, afterwards=afterwards
        )

    @property
    def plan(self) -> Plan:
        return self.rules.plan

    def run(self) -> None:
        """Watch until the bell says stop, or until all is done if that was asked for."""
        events = Events(self.bell.wake, self.clock)
        try:
            self._folders = Folders(self.plan, events, self.tell)
            self._looking = Looking(
                files=self._records.files,
                rules=self.rules,
                events=events,
                folders=self._folders,
                tell=self.tell,
                media_root=self.media_root,
            )
            self._begin()
            while not self.bell.times:
                if self._turn():
                    break
                self.bell.wait(self._pause())
        finally:
            events.close()

    def end(self) -> None:
        """After the answerer has ended: what it answered last is seen to."""
        while not self.hold.lost and self._collecting.collect(self.clock()):
            pass
        self.drops.end_all()
        self.store.settle()

    @property
    def complete(self) -> bool:
        """Whether all folders were there, and each of their files was seen to and has its answers."""
        left = self._collecting.failed or self._records.held or self._records.files.unfit()
        return self._folders.all_there and not left

    # --- turns -----------------------------------------------------------------------------------

    def _begin(self) -> None:
        self.drops.end_left_over()
        now, files = self.clock(), self._records.files
        files.start_over(now + self.plan.wait_s, now)
        self._records.taken = files.counts().get(FileState.TAKEN, 0)

    def _turn(self) -> bool:
        """Look at everything once. Whether that was all."""
        try:
            now = self.clock()
            self._tend(now)
            self._looking.hear(now)
            self._looking.scan(now)
            self._taking.take(now)
            if self._records.taken:
                self.answerer.turn()
            self._collecting.collect(now)
            self._store_is_there()
            return self.plan.oneshot and self._is_done()
        except STORE_AWAY as error:
            self._store_is_away(error)
            return False

    def _pause(self) -> float:
        """How long nothing needs to be done."""
        if self._looking.scanning:
            return 0.0
        now, dues = self.clock(), list(self._looking.dues())
        try:
            due = self._records.files.next_due()
        except STORE_AWAY:
            return LOOK_S
        if self._taking.full:
            return _FULL_S
        if due is not None:
            dues.append(max(due, self._taking.next))
        return max(0.0, min([LOOK_S, *(due - now for due in dues)]))

    def _tend(self, now: float) -> None:
        if self.hold.lost:
            raise SetupError(detail=f"Another process has taken over the watch {self.name!r}: this one ends.")
        if now >= self._next_tending:
            self._folders.look()
            self._records.taken += self._records.files.take_again(now)
            self.drops.end_quiet(now)
            self.store.settle()
            self._next_tending = now + max(LOOK_S, (self.clock() - now) / _TENDING_SHARE)

    def _is_done(self) -> bool:
        """For a single round: each file has been looked at, and what is left cannot be done as things are."""
        files = self._records.files
        waits_for_nothing = self._looking.idle and not self._records.open
        return waits_for_nothing and files.counts().get(FileState.WAITING, 0) == files.unfit()

    def _store_is_away(self, error: PixmillError) -> None:
        self._folders.scan_soon()  # what was just heard may not be noted
        if not self._away:
            self._away = True
            self.tell("database_away", f"{error} It is tried again every second.")

    def _store_is_there(self) -> None:
        if self._away:
            self._away = False
            self.tell("database_back", "The database is back.")
