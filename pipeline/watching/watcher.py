"""The watcher: looks, takes what is ready, and does what is to be done once it is answered. One thread does it all.

What it knows is in the store. Killed at any moment, the next one goes on: what was seen is watched anew, what was
asked is linked to its jobs, and what is to be done afterwards may be done twice.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pipeline.errors import (
    DatabaseBusy,
    DatabaseFull,
    DatabaseUnreachable,
    ImageMissing,
    ImageTruncated,
    ImageUnreadable,
    PixmillError,
    SetupError,
)
from pipeline.jobs import State
from pipeline.locators import locate, open_path, printable
from pipeline.owner import Owner
from pipeline.sources.paths import SUFFIXES
from pipeline.store import Store
from pipeline.store.rows import ItemRow
from pipeline.store.watched import FileState, Seen, Wait, WatchedFile
from pipeline.watching import readiness
from pipeline.watching.afterwards import Afterwards, OtherBytes
from pipeline.watching.drops import Drops
from pipeline.watching.events import Events
from pipeline.watching.folders import Folders
from pipeline.watching.plan import After, Plan
from pipeline.watching.rules import MARKER, Rules
from pipeline.watching.scan import look, scan

LEASE_S = 30.0
TOGETHER = 256
"""files that are seen to in one go after they have ended"""
MOST_TAKEN = 2_048
"""Files whose answers are waited for. What else is ready waits in the store: so a small drop that comes later
stands behind no more than these."""
LOOK_S = 1.0
_FULL_S = 0.2
_TAKING_SHARE = 0.1
"""Share of the time that looking for what is ready may take: it looks through all that waits."""
_AGAIN_S = (0.3, 2.0)
"""A folder that has just come is looked at again then: what was put into it before its events were heard
caused none."""
_PERHAPS_UNFINISHED = frozenset({ImageTruncated.code, ImageUnreadable.code, ImageMissing.code})
_STORE_AWAY = (DatabaseBusy, DatabaseFull, DatabaseUnreachable)


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
    plan: Plan
    id: int
    name: str
    owner: Owner
    drops: Drops
    afterwards: Afterwards
    rules: Rules
    answerer: Answerer
    bell: Bell
    clock: Callable[[], float]
    """never jumps"""
    tell: Callable[..., None]
    media_root: Path | None = None
    taken: int = 0
    failed: int = 0
    _scans: list[Iterator[list[Seen]]] = field(default_factory=list)
    _later: list[tuple[float, str]] = field(default_factory=list)
    _tended: float = float("-inf")
    _renewed: float = float("-inf")
    _next_take: float = float("-inf")
    _away: bool = False
    _unread: set[str] = field(default_factory=set)
    """what was said about folders that cannot be read"""

    def run(self) -> None:
        """Watch until the bell says stop, or until all is done if that was asked for."""
        self.events = Events(self.bell.wake, self.clock)
        try:
            self.folders = Folders(self.plan, self.events, self.tell)
            self._begin()
            while not self.bell.times:
                if self._turn() and self.plan.oneshot:
                    break
                self.bell.wait(self._pause())
        finally:
            self.events.close()

    def end(self) -> None:
        """After the answerer has ended: what it answered last is seen to, and the watch is free."""
        while self._collect(self.clock()):
            pass
        self.drops.end_all()
        self.store.settle()
        self.store.watches.leave(self.id, self.owner)

    @property
    def complete(self) -> bool:
        """Whether all folders were there, and each of their files has its answers."""
        return self.folders.all_there and not self.failed and not self.store.watches.unfit(self.id)

    # --- turns -----------------------------------------------------------------------------------

    def _begin(self) -> None:
        self.drops.end_left_over()
        now = self.clock()
        self.store.watches.start_over(self.id, now + self.plan.wait_s, now)
        self.taken = self.store.watches.counts(self.id).get(FileState.TAKEN, 0)

    def _turn(self) -> bool:
        """Look at everything once. Whether nothing is left to do for now."""
        try:
            now = self.clock()
            self._tend(now)
            self._hear(now)
            self._scan(now)
            took = self._take(now)
            if self.taken:
                self.answerer.turn()
            ended = self._collect(now)
            self._store_is_there()
            return not (took or ended or self.taken or self._scans or self._later) and self._is_done()
        except _STORE_AWAY as error:
            self._store_is_away(error)
            return False

    def _pause(self) -> float:
        """How long nothing needs to be done."""
        if self._scans:
            return 0.0
        now, pause = self.clock(), LOOK_S
        dues = [due for due, _ in self._later]
        try:
            dues += [due for due in (self.store.watches.next_due(self.id), self.folders.next_due()) if due is not None]
        except _STORE_AWAY:
            return LOOK_S
        if self.taken >= MOST_TAKEN:
            return _FULL_S
        return max(0.0, min([pause, *(due - now for due in dues)]), min(pause, self._next_take - now))

    def _tend(self, now: float) -> None:
        if now - self._renewed >= LEASE_S / 3:
            self._renewed = now
            if not self.store.watches.renew(self.id, self.owner, LEASE_S):
                raise SetupError(detail=f"Another process has taken over the watch {self.name!r}: this one ends.")
        if now - self._tended >= LOOK_S:
            self._tended = now
            self.folders.look()
            self.drops.end_quiet(now)
            self.store.settle()

    def _is_done(self) -> bool:
        """For a single round: each file has been looked at, and those that wait are unfit as they are."""
        counts = self.store.watches.counts(self.id)
        return counts.get(FileState.WAITING, 0) == self.store.watches.unfit(self.id)

    def _store_is_away(self, error: PixmillError) -> None:
        self.folders.scan_soon()  # what was just heard may not be noted
        if not self._away:
            self._away = True
            self.tell("database_away", f"{error} It is tried again every second.")

    def _store_is_there(self) -> None:
        if self._away:
            self._away = False
            self.tell("database_back", "The database is back.")

    # --- looking ---------------------------------------------------------------------------------

    def _hear(self, now: float) -> None:
        hints, too_many = self.events.heard()
        if too_many:
            self.folders.scan_soon()
        again = [path for due, path in self._later if due <= now]
        self._later = [(due, path) for due, path in self._later if due > now]
        seen: list[tuple[Seen, float]] = []
        for path, at in [*hints.items(), *((path, now) for path in again)]:
            if path.endswith(MARKER):
                self._hasten(path, now)
            elif os.path.isdir(path) and not os.path.islink(path):
                self._scans.append(scan(self.rules, path, self.media_root, self._unreadable))
                self._later += [(at + pause, path) for pause in _AGAIN_S if path in hints]
            elif one := look(self.rules, path, self.media_root):
                seen.append((one, at + self.plan.wait_s))
        self._note(seen, now)

    def _scan(self, now: float) -> None:
        """Some of what is to be scanned; the rest in the next turns."""
        self._scans += [scan(self.rules, path, self.media_root, self._unreadable) for path in self.folders.due(now)]
        while self._scans:
            chunk = next(self._scans[0], None)
            if chunk is not None:
                self._note([(one, now + self.plan.wait_s) for one in chunk], now)
                return
            del self._scans[0]

    def _note(self, seen: Sequence[tuple[Seen, float]], now: float) -> None:
        if seen:
            again = self.plan.on_success.after is not After.KEEP
            self.store.watches.note(self.id, seen, now=now, again=again, reason=readiness.CHANGED)

    def _hasten(self, marker: str, now: float) -> None:
        base = marker.removesuffix(MARKER)
        endings = ["", *SUFFIXES, *map(str.upper, SUFFIXES)]
        self.store.watches.hasten(self.id, [locate(base + ending, self.media_root) for ending in endings], now)

    def _unreadable(self, text: str) -> None:
        if text not in self._unread:
            self._unread.add(text)
            self.tell("unreadable", text)

    # --- taking ----------------------------------------------------------------------------------

    def _take(self, now: float) -> int:
        """Ask about files that are ready. Returns how many were looked at."""
        room = MOST_TAKEN - self.taken
        due = self.store.watches.next_due(self.id) if room > 0 and now >= self._next_take else None
        if due is None or due > now:
            return 0
        ready: defaultdict[str, list[WatchedFile]] = defaultdict(list)
        waits: list[tuple[WatchedFile, Wait]] = []
        gone: list[WatchedFile] = []
        begun = self.clock()
        files = self.store.watches.ready(self.id, now=now, limit=room)
        self._next_take = now + (self.clock() - begun) / _TAKING_SHARE
        for file in files:
            found = readiness.judge(file, self._path(file), self.plan, now)
            if found is None:
                ready[file.drop].append(file)
            elif isinstance(found, Wait):
                waits.append((file, found))
            else:
                gone.append(file)
        self._wait(waits, now)
        self._gone(gone, "it went before it could be taken", now)
        for drop, some in ready.items():
            self._ask(drop, some, now)
        return len(files)

    def _ask(self, drop: str, files: Sequence[WatchedFile], now: float) -> None:
        self.store.watches.take(self.id, self.drops.add(drop, files, now), now)
        self.taken += len(files)
        for file in files:
            if not file.tries:
                self.tell("taken", None, path=self._path(file), batch=self.drops.name(drop))

    def _wait(self, waits: Sequence[tuple[WatchedFile, Wait]], now: float) -> None:
        """These wait on; why is told when it is new."""
        self.store.watches.wait(self.id, [wait for _, wait in waits], now)
        for file, wait in waits:
            if wait.tries and wait.reason != file.reason:
                path = self._path(file)
                self.tell("waiting", f"{printable(path)} waits: {wait.reason}.", path=path, reason=wait.reason)

    def _gone(self, files: Sequence[WatchedFile], why: str, now: float) -> None:
        self.store.watches.end(self.id, {file.locator: (FileState.GONE, why) for file in files}, now)
        for file in files:
            path = self._path(file)
            self.tell("gone", f"{printable(path)}: {why}.", path=path)

    # --- afterwards ------------------------------------------------------------------------------

    def _collect(self, now: float) -> int:
        """See to files whose questions have ended. Returns how many."""
        if not self.taken:
            return 0
        files = self.store.watches.ended(self.id, now=now, limit=TOGETHER)
        by_batch: defaultdict[int, list[WatchedFile]] = defaultdict(list)
        for file in files:
            by_batch[file.batch_id or 0].append(file)
        if files and self.plan.on_success.after is not After.KEEP:
            self.store.watches.harden()
        for batch, some in by_batch.items():
            items: defaultdict[int | None, list[ItemRow]] = defaultdict(list)
            for item in self.store.views.of_rows(batch, [file.row_no for file in some if file.row_no is not None]):
                items[item.row].append(item)
            for file in some:
                self._see_to(file, items[file.row_no], now)
        return len(files)

    def _see_to(self, file: WatchedFile, items: Sequence[ItemRow], now: float) -> None:
        path = self._path(file)
        try:
            wait = self._again(file, path, items, now)
            if wait:
                self._wait([(file, wait)], now)
            else:
                self._end(file, path, items, now)
        except OtherBytes:
            # By size and time it is the same file, so its jobs would only be linked.
            jobs = [item.job for item in items if item.job is not None]
            self.store.requeue(jobs, fresh=True, batch=file.batch_id)
            self.tell("replaced", f"{printable(path)} holds other bytes now: it is asked about again.", path=path)
            return
        except (OSError, SetupError) as error:
            if isinstance(error, _STORE_AWAY):
                raise
            why = error.strerror or str(error) if isinstance(error, OSError) else str(error)
            reason = f"its answers are stored, and what is to be done afterwards is tried again: {why}"
            pause = min(max(self.plan.stable_for, LOOK_S), readiness.LONGEST_PAUSE_S)
            self.store.watches.put_off(self.id, [file.locator], reason, now + pause, now)
            if file.reason != reason:
                self.tell("held_up", f"{printable(path)}: {reason}", path=path, reason=reason)
            return
        self.taken -= 1

    def _again(self, file: WatchedFile, path: str, items: Sequence[ItemRow], now: float) -> Wait | None:
        """Whether the file is to be asked about again: it is another one now, or may not be complete yet."""
        if not items:  # its batch was removed meanwhile
            return readiness.unfit(file, self.plan, now, "its batch was removed before it was answered")
        try:
            facts = os.stat(path)
        except OSError:
            return None
        if (facts.st_size, facts.st_mtime_ns) != (file.size, file.mtime_ns):
            return readiness.changed(file, facts, self.plan, now, "it was replaced while it was asked about")
        broken = next((item for item in items if item.error_code in _PERHAPS_UNFINISHED), None)
        if broken is None or now - file.since >= self.plan.patience:
            return None
        return readiness.unfit(file, self.plan, now, f"it may not be complete: {broken.error}")

    def _end(self, file: WatchedFile, path: str, items: Sequence[ItemRow], now: float) -> None:
        if all(item.state is State.DONE for item in items):
            where = self.afterwards.succeeded(path, items)
            self.store.watches.end(self.id, {file.locator: (FileState.DONE, where)}, now)
            answers = [{"question": item.question, "text": item.answer.text} for item in items if item.answer]
            self.tell("answered", None, path=path, answers=answers, now=where)
            return
        self.failed += 1
        worst = next((item for item in items if item.error_code), None)
        why = worst.error if worst else "the batch was cancelled"
        code = worst.error_code if worst else "cancelled"
        if not os.path.lexists(path) and code == ImageMissing.code:
            self._gone([file], "it went before it was read", now)
            return
        where = self.afterwards.failed(path, items)
        told = f"{code}: {why}" + (f" ({where})" if where else "")
        self.store.watches.end(self.id, {file.locator: (FileState.FAILED, told)}, now)
        self.tell("failed", f"{printable(path)}: {why}", path=path, code=code, why=why, now=where)

    def _path(self, file: WatchedFile) -> str:
        return open_path(file.locator, self.media_root) or file.locator


def columns(rules: Rules, media_root: Path | None) -> Callable[[str], dict[str, Any] | None]:
    """With --tags, the names of a picture's subfolders become a column."""

    def tags(locator: str) -> dict[str, Any] | None:
        path = open_path(locator, media_root)
        root = rules.root(path) if path and rules.plan.tags else None
        if path is None or root is None:
            return None
        return {"tags": [part for part in os.path.relpath(os.path.dirname(path), root).split(os.sep) if part != "."]}

    return tags
