"""A scan: all files of a watched folder as they are now. It is the truth; events only hasten it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from pipeline.locators import locate, printable
from pipeline.store.watched import Seen
from pipeline.watching.rules import Rules, why_not_link

CHUNK = 500
Note = Callable[[str], None]


def scan(rules: Rules, folder: str, media_root: Path | None, note: Note) -> Iterator[list[Seen]]:
    """What lies in a folder and below, some files at a time, so that the watcher does other things between."""
    root = rules.root(folder)
    if root is None or rules.why_not_into(folder, root):
        return
    found = _files(rules, folder, root, media_root, note)
    while chunk := list(islice(found, CHUNK)):
        yield chunk


def look(rules: Rules, path: str, media_root: Path | None) -> Seen | None:
    """One file, if it is there and meant."""
    root = rules.root(path)
    if root is None or rules.why_not(path) is not None:
        return None
    return _seen(rules, path, root, media_root)


def _files(rules: Rules, folder: str, root: str, media_root: Path | None, note: Note) -> Iterator[Seen]:
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if rules.enters(entry.path, root):
                            waiting.append(entry.path)
                    elif rules.takes(entry.path, root) and (seen := _seen(rules, entry.path, root, media_root)):
                        yield seen
        except FileNotFoundError:
            continue  # it went while its parent was read
        except OSError as error:
            note(f"{printable(place)} cannot be read: {(error.strerror or str(error)).lower()}. It is tried again.")


def _seen(rules: Rules, path: str, root: str, media_root: Path | None) -> Seen | None:
    try:
        facts = os.stat(path)
    except OSError:
        return None
    if not stat.S_ISREG(facts.st_mode) or why_not_link(path, root):
        return None
    return Seen(
        locator=locate(path, media_root),
        size=facts.st_size,
        mtime_ns=facts.st_mtime_ns,
        drop=locate(rules.drop(path, root), media_root),
    )
