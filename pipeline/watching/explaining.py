"""Explaining: why a file was taken, waits, or is left alone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.display import duration, moment
from pipeline.locators import locate
from pipeline.store import Store
from pipeline.store.watched import FileState, WatchedFile
from pipeline.store.watches import WatchRow
from pipeline.watching.plan import Plan
from pipeline.watching.rules import Rules


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """What one watch makes of a file."""

    path: str
    watch: str | None
    state: str
    """waiting, taken, done, failed, gone; else: unknown, ignored, changed"""
    reason: str


def explain(store: Store, path: str, media_root: Path | None) -> list[Explanation]:
    """What each watch makes of a file; one explanation at least."""
    path = os.path.abspath(path)
    rows = store.watches.rows()
    known = dict(store.watches.of(locate(path, media_root)))
    found = [_of_watch(row, path, known.get(row.name)) for row in rows if _concerns(row, path) or row.name in known]
    if found:
        return found
    named = ", ".join(folder for row in rows for folder in Plan.of(row.spec).folders)
    reason = f"It lies in no watched folder. Watched: {named}." if named else "No folder is watched yet."
    return [Explanation(path=path, watch=None, state="unknown", reason=reason)]


def _concerns(row: WatchRow, path: str) -> bool:
    return Rules(Plan.of(row.spec)).root(path) is not None


def _of_watch(row: WatchRow, path: str, known: WatchedFile | None) -> Explanation:
    state, reason = _verdict(row, path, known)
    return Explanation(path=path, watch=row.name, state=state, reason=" ".join([reason, *_hints(row, state)]))


def _verdict(row: WatchRow, path: str, known: WatchedFile | None) -> tuple[str, str]:
    plan = Plan.of(row.spec)
    why_not = Rules(plan).why_not(path)
    if os.path.isdir(path):
        return "ignored" if why_not else "unknown", "It is a folder: name a file in it."
    if known is None or known.state is FileState.GONE:
        return _unseen(path, known, why_not, plan)
    if known.asked_again:
        return FileState.TAKEN.value, f"It had failed ({known.reason}), and was asked about again since."
    if known.state is not FileState.TAKEN and _differs(path, known):
        if why_not:
            return "ignored", f"It has changed since it was looked at last, and is left alone now: {why_not}."
        return "changed", "It has changed since it was looked at last, and is looked at again."
    if known.state is FileState.WAITING and why_not:
        return "ignored", f"{_capital(why_not)}."
    return known.state.value, _sentence(known)


def _unseen(path: str, known: WatchedFile | None, why_not: str | None, plan: Plan) -> tuple[str, str]:
    if not os.path.lexists(path):
        if known is not None:
            return known.state.value, f"{_capital(known.reason or 'it is gone')}, at {moment(known.updated)}."
        return "unknown", "There is no such file, and none was seen."
    if why_not:
        return "ignored", f"{_capital(why_not)}."
    if not os.path.exists(path):
        return "ignored", "It is a link that leads nowhere."
    if not os.path.isfile(path):
        return "ignored", "It is no regular file."
    seen = "It was not seen yet." if known is None else "It went, and was not seen again yet."
    return "unknown", f"{seen} All is looked at every {plan.rescan:g} s at least."


def _differs(path: str, known: WatchedFile) -> bool:
    try:
        facts = os.stat(path)
    except OSError:
        return False
    return (facts.st_size, facts.st_mtime_ns) != (known.size, known.mtime_ns)


def _sentence(known: WatchedFile) -> str:
    match known.state:
        case FileState.WAITING:
            again = max(0.0, (known.due or 0.0) - time.time())
            return f"It waits: {known.reason}. Looked at again in {duration(again)}."
        case FileState.TAKEN:
            if known.due is not None:  # it was put off
                return f"Its questions have ended; what is to be done then is tried again: {known.reason}."
            return f"It was taken at {moment(known.updated)}, and not all of its questions have ended."
        case FileState.DONE:
            where = f" and {known.reason}" if known.reason else ""
            return f"It was answered{where} at {moment(known.updated)}."
    return f"It has no answer since {moment(known.updated)}: {known.reason}."


def _hints(row: WatchRow, state: str) -> Iterator[str]:
    if not row.running and state in ("waiting", "taken", "changed", "unknown"):
        yield f"Nobody watches now: start `pixmill watch run` for {row.name!r} again."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
