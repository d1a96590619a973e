"""Readiness: whether a file that was seen can be taken now, and if not, why and when to look again."""

from __future__ import annotations

import os
from dataclasses import dataclass

from pipeline.store.watched import Wait, WatchedFile
from pipeline.watching.plan import Plan, Ready
from pipeline.watching.rules import MARKER

CHANGED = "it changed a moment ago"
LONGEST_PAUSE_S = 60.0
_SHORTEST_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class Gone:
    """The file is not there any more."""


def judge(file: WatchedFile, path: str, plan: Plan, now: float) -> Wait | Gone | None:
    """None: it can be taken."""
    try:
        facts = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return Gone()
    except OSError as error:
        return unfit(file, plan, now, unseen(error))
    if (facts.st_size, facts.st_mtime_ns) != (file.size, file.mtime_ns):
        return changed(file, facts, plan, now)
    if plan.ready is Ready.MARKER and not any(map(os.path.lexists, markers(path))):
        why = f"its marker {os.path.basename(path)}{MARKER} has not come"
        return unfit(file, plan, now, why, pause=min(plan.poll or plan.rescan, plan.rescan))
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except FileNotFoundError:
        return Gone()
    except OSError as error:
        return unfit(file, plan, now, f"it cannot be opened: {_reason(error)}")
    return None


def changed(file: WatchedFile, facts: os.stat_result, plan: Plan, now: float, why: str = CHANGED) -> Wait:
    """It is another file now, which has to be as it is for a while."""
    return Wait(
        locator=file.locator,
        size=facts.st_size,
        mtime_ns=facts.st_mtime_ns,
        reason=why,
        due=now + plan.wait_s,
        tries=0,
        since=now,
    )


def unfit(file: WatchedFile, plan: Plan, now: float, why: str, *, pause: float | None = None) -> Wait:
    """It stays as it is, and cannot be used so: each look comes later than the one before."""
    longer = min(max(plan.stable_for, _SHORTEST_PAUSE_S) * 2 ** min(file.tries, 10), LONGEST_PAUSE_S)
    return Wait(
        locator=file.locator,
        size=file.size,
        mtime_ns=file.mtime_ns,
        reason=why,
        due=now + (longer if pause is None else pause),
        tries=file.tries + 1,
        since=file.since,
    )


def unseen(error: OSError) -> str:
    """Why a file that is there, or may be, cannot be looked at."""
    return f"it cannot be looked at: {_reason(error)}"


def markers(path: str) -> tuple[str, str]:
    """The names of a picture's marker: x.jpg.done, x.done."""
    return f"{path}{MARKER}", f"{os.path.splitext(path)[0]}{MARKER}"


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
