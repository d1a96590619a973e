"""Collecting: files whose questions have ended are seen to."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.errors import ImageMissing, ImageTruncated, ImageUnreadable, SetupError
from pipeline.jobs import State
from pipeline.locators import printable
from pipeline.store import Store
from pipeline.store.rows import ItemRow
from pipeline.store.watched import FileState, Wait, WatchedFile
from pipeline.watching import readiness
from pipeline.watching.afterwards import Afterwards, OtherBytes
from pipeline.watching.bringing import is_there
from pipeline.watching.plan import After, Plan
from pipeline.watching.records import STORE_AWAY, Records

TOGETHER = 256
"""files that are seen to in one go after they have ended"""
_PAUSE_S = 1.0
"""at least, before what could not be done afterwards is tried again"""
_A_SECOND = 100
"""at most so many of such files are tried, about"""
_PERHAPS_UNFINISHED = frozenset({ImageTruncated.code, ImageUnreadable.code, ImageMissing.code})


@dataclass(kw_only=True)
class Collecting:
    """Does with files what is to be done once they have their answers, or will have none."""

    store: Store
    records: Records
    plan: Plan
    afterwards: Afterwards
    failed: int = 0

    def collect(self, now: float) -> int:
        """See to files whose questions have ended. Returns how many."""
        files = self.records.files.ended(now=now, limit=TOGETHER) if self.records.taken else []
        if files and self.plan.on_success.after is not After.KEEP:
            self.store.watches.harden()
        by_batch: defaultdict[int, list[WatchedFile]] = defaultdict(list)
        for file in files:
            by_batch[file.batch_id or 0].append(file)
        for batch, some in by_batch.items():
            items: defaultdict[int | None, list[ItemRow]] = defaultdict(list)
            for item in self.store.views.of_rows(batch, [file.row_no for file in some if file.row_no is not None]):
                items[item.row].append(item)
            for file in some:
                self._see_to(file, items[file.row_no], now)
        return len(files)

    def _see_to(self, file: WatchedFile, items: Sequence[ItemRow], now: float) -> None:
        path = self.records.path(file)
        try:
            if wait := self._again(file, path, items, now):
                self.records.wait([(file, wait)], now)
            else:
                self._end(file, path, items, now)
        except OtherBytes:
            # By size and time it is the same file, so its jobs would only be linked.
            jobs = [item.job for item in items if item.job is not None]
            self.store.requeue(jobs, fresh=True, batch=file.batch_id)
            self.records.tell(
                "replaced", f"{printable(path)} holds other bytes now: it is asked about again.", path=path
            )
        except STORE_AWAY:
            raise
        except (OSError, SetupError) as error:
            self._hold(file, path, error, now)
        else:
            self.records.taken -= 1
            self.records.held.discard(file.locator)

    def _hold(self, file: WatchedFile, path: str, error: OSError | SetupError, now: float) -> None:
        reason = _reason(error)
        pause = min(max(self.plan.stable_for, _PAUSE_S, len(self.records.held) / _A_SECOND), readiness.LONGEST_PAUSE_S)
        self.records.files.put_off([file.locator], reason, now + pause, now)
        if file.locator not in self.records.held or file.reason != reason:
            text = f"{printable(path)}: its questions have ended; what is to be done then is tried again: {reason}"
            self.records.tell("held_up", text, path=path, reason=reason)
        self.records.held.add(file.locator)

    def _again(self, file: WatchedFile, path: str, items: Sequence[ItemRow], now: float) -> Wait | None:
        """Whether the file is to be asked about again: it is another one now, or may not be complete yet."""
        if not items:
            return readiness.unfit(file, self.plan, now, "its batch was removed before it was answered")
        broken = next((item for item in items if item.error_code in _PERHAPS_UNFINISHED), None)
        try:
            facts = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:  # as of a network share that is away: its pictures are not broken for that
            return readiness.unfit(file, self.plan, now, readiness.unseen(error)) if broken else None
        if (facts.st_size, facts.st_mtime_ns) != (file.size, file.mtime_ns):
            return readiness.changed(file, facts, self.plan, now, "it was replaced while it was asked about")
        if broken is None or now - file.since >= self.plan.patience:
            return None
        return readiness.unfit(file, self.plan, now, f"it may not be complete: {broken.error}")

    def _end(self, file: WatchedFile, path: str, items: Sequence[ItemRow], now: float) -> None:
        if all(item.state is State.DONE for item in items):
            self._succeed(file, path, items, now)
        elif not is_there(path) and any(item.error_code == ImageMissing.code for item in items):
            self.records.gone({file: "it went before it was read"}, now)
        else:
            self._fail(file, path, items, now)

    def _succeed(self, file: WatchedFile, path: str, items: Sequence[ItemRow], now: float) -> None:
        if self.afterwards.is_too_late(path):
            self.records.gone({file: "it was answered, and went before the answers could be written beside it"}, now)
            return
        where = self.afterwards.succeeded(path, items)
        self.records.files.end({file.locator: (FileState.DONE, where)}, now)
        answers = [{"question": item.question, "text": item.answer.text} for item in items if item.answer]
        self.records.tell("answered", None, path=path, answers=answers, now=where)

    def _fail(self, file: WatchedFile, path: str, items: Sequence[ItemRow], now: float) -> None:
        worst = next((item for item in items if item.error_code), None)
        why = worst.error if worst else "the batch was cancelled"
        code = worst.error_code if worst else "cancelled"
        where = self.afterwards.failed(path, items)
        told = f"{code}: {why}" + (f" ({where})" if where else "")
        self.records.files.end({file.locator: (FileState.FAILED, told)}, now)
        self.failed += 1
        self.records.tell("failed", f"{printable(path)}: {why}", path=path, code=code, why=why, now=where)


def _reason(error: OSError | SetupError) -> str:
    if isinstance(error, SetupError) or error.strerror is None:
        return str(error)
    return error.strerror.lower() + (f": {printable(error.filename)}" if isinstance(error.filename, str) else "")
