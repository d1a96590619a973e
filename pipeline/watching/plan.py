"""A plan: which folders are watched, what counts as complete, and what becomes of a file afterwards."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self

from pipeline.errors import UsageError
from pipeline.locators import printable

STABLE_S = 2.0
RESCAN_S = 60.0
POLL_S = 2.0
PATIENCE_S = 600.0


class Ready(StrEnum):
    """What says that a file is complete."""

    STABLE = "stable"
    """its size and mtime stay as they are for a while"""
    RENAME = "rename"
    """its name: it is written under another one, then renamed"""
    MARKER = "marker"
    """a file x.jpg.done or x.done beside it"""


class After(StrEnum):
    """What becomes of a file that has ended."""

    KEEP = "keep"
    MOVE = "move"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a file, and where to."""

    after: After = After.KEEP
    folder: str | None = None

    @classmethod
    def parse(cls, text: str, *, may: tuple[After, ...]) -> Self:
        """`keep`, `delete`, or `move DIR`. Raises ValueError."""
        word, folder = re.split(r"[:\s]\s*|$", text.strip(), maxsplit=1)
        if word not in may or (word == After.MOVE) != bool(folder):
            words = ", ".join("'move DIR'" if one is After.MOVE else one for one in may)
            raise ValueError(f"it is one of {words}")
        return cls(After(word), os.path.abspath(folder) if folder else None)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that a watch was told about files."""

    folders: tuple[str, ...]
    """absolute"""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    stable_for: float = STABLE_S
    ready: Ready = Ready.STABLE
    rescan: float = RESCAN_S
    patience: float = PATIENCE_S
    poll: float | None = None
    """seconds between looks at folders without events; none: only where events do not come"""
    tags: bool = False
    on_success: Fate = field(default_factory=Fate)
    on_failure: Fate = field(default_factory=Fate)
    sidecar: str | None = None
    oneshot: bool = False

    @property
    def own(self) -> tuple[str, ...]:
        """Folders into which the watcher itself puts files."""
        return tuple(fate.folder for fate in (self.on_success, self.on_failure) if fate.folder)

    @property
    def wait_s(self) -> float:
        """How long a file must stay as it is."""
        return self.stable_for if self.ready is Ready.STABLE else 0.0

    def spec(self) -> dict[str, Any]:
        return {**asdict(self), "folders": list(self.folders)}

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Self:
        known = {name: spec[name] for name in cls.__dataclass_fields__ if name in spec}
        for name in ("folders", "include", "exclude"):
            known[name] = tuple(known[name])
        for name in ("on_success", "on_failure"):
            known[name] = Fate(After(known[name]["after"]), known[name]["folder"])
        return cls(**known | {"ready": Ready(known["ready"])})


def check(folders: tuple[str, ...]) -> tuple[str, ...]:
    """The folders to watch, absolute. One that is not there yet is waited for. Raises UsageError."""
    found = tuple(dict.fromkeys(map(os.path.abspath, folders)))
    for folder in found:
        if os.path.lexists(folder) and not os.path.isdir(folder):
            detail = f"{printable(folder)} is a file: name the folder it lies in, or ask about it with `pixmill run`."
            raise UsageError(detail=detail)
        if os.path.isdir(folder) and not os.access(folder, os.R_OK | os.X_OK):
            raise UsageError(detail=f"{printable(folder)} cannot be read: permission denied. Make it readable first.")
    for inner, outer in _nested(found, found):
        detail = f"{printable(inner)} lies inside of {printable(outer)}, which is watched with all its subfolders."
        raise UsageError(detail=f"{detail} Name only one of them.")
    return found


def check_fates(plan: Plan) -> None:
    """What is moved away must not end up where it came from. Raises UsageError."""
    for own in plan.own:
        for folder in plan.folders:
            if is_within(os.path.realpath(folder), os.path.realpath(own)):
                detail = f"{printable(folder)} is watched, so files cannot be moved to {printable(own)}."
                raise UsageError(detail=f"{detail} Name a folder inside of it, or elsewhere.")


def check_others(folders: tuple[str, ...], others: Mapping[str, tuple[str, ...]]) -> None:
    """Two watches must not look after the same file. Raises UsageError. `others`: by the names of watches at work."""
    for name, theirs in others.items():
        for mine in folders:
            for other in theirs:
                here, there = os.path.realpath(mine), os.path.realpath(other)
                if is_within(here, there) or is_within(there, here):
                    where = "is" if mine == other else "overlaps with"
                    detail = f"{printable(mine)} {where} {printable(other)}, which the watch {name!r} looks after now."
                    more = "Ask several questions in one watch, or end that one first: `pixmill watch ls`."
                    raise UsageError(detail=f"{detail} {more}")


def is_within(path: str, folder: str) -> bool:
    """Whether the path is the folder, or lies in it."""
    return path == folder or path.startswith(os.path.join(folder, ""))


def _nested(inner: tuple[str, ...], outer: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    real = {path: os.path.realpath(path) for path in (*inner, *outer)}
    return ((one, two) for one in inner for two in outer if one != two and is_within(real[one], real[two]))
