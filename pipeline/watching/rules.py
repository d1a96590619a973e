"""Rules: which files of a watched folder are meant, and why the others are not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipeline.sources.filters import Filters
from pipeline.sources.folders import is_litter
from pipeline.sources.paths import is_picture
from pipeline.watching.plan import Plan, is_within

MARKER = ".done"
_UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".crdownload", ".download", ".filepart", ".swp", "~")
_LITTER = frozenset({"desktop.ini", "#snapshot", "@recycle", "@recently-snapshot", "@tmp", "~recycle"})


@dataclass(frozen=True)
class Rules:
    """A plan's rules, worked out once."""

    plan: Plan
    _filters: Filters = field(init=False, repr=False)
    _own: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_filters", Filters(include=self.plan.include, exclude=self.plan.exclude))
        object.__setattr__(self, "_own", frozenset(_seen_from_roots(self.plan)))

    def root(self, path: str) -> str | None:
        """The watched folder that a path lies in."""
        return next((folder for folder in self.plan.folders if is_within(path, folder)), None)

    def drop(self, path: str, root: str) -> str:
        """The folder a file came in with: the watched one, or that right below it."""
        first, slash, _ = os.path.relpath(path, root).partition(os.sep)
        return os.path.join(root, first) if slash else root

    def enters(self, folder: str, root: str) -> bool:
        """Whether a folder below the watched one is looked into."""
        return self._why_not_folder(folder, os.path.relpath(folder, root)) is None

    def takes(self, path: str, root: str) -> bool:
        """Whether a file is meant, as far as its own name and place tell; folders above were looked at."""
        return self._why_not_file(os.path.basename(path), os.path.relpath(path, root)) is None

    def why_not(self, path: str) -> str | None:
        """Why a file is never looked at; none if it is meant."""
        root = self.root(path)
        if root is None:
            return "it lies in no folder that is watched"
        why = self.why_not_into(os.path.dirname(path), root)
        return (
            why or self._why_not_file(os.path.basename(path), os.path.relpath(path, root)) or why_not_link(path, root)
        )

    def why_not_into(self, folder: str, root: str) -> str | None:
        """Why a folder, or one above it, is not looked into."""
        place, below = root, os.path.relpath(folder, root)
        for part in below.split(os.sep) if folder != root else ():
            place = os.path.join(place, part)
            if why := self._why_not_folder(place, os.path.relpath(place, root)):
                return why
        return None

    def _why_not_folder(self, folder: str, below: str) -> str | None:
        name = os.path.basename(folder)
        if folder in self._own:
            return f"Pixmill itself puts files into {name}"
        if _is_litter(name):
            return f"its folder {name} holds what systems and programs keep for themselves"
        if self._filters.left_out(below):
            return f"--exclude leaves out its folder {name}"
        if os.path.islink(folder):
            return f"its folder {name} is a link, and those are not entered"
        return None

    def _why_not_file(self, name: str, below: str) -> str | None:
        if name.startswith("."):
            return "its name begins with a dot, as that of hidden and unfinished files"
        if name.endswith(_UNFINISHED) or name.startswith("~"):
            return "its name is that of a file that is still written"
        if _is_litter(name):
            return "systems and programs leave such files for themselves"
        if not is_picture(name):
            return "its name is not that of a picture"
        if self._filters.left_out(below):
            return "--exclude leaves it out"
        return None if self._filters.wanted(below) else "--include does not name it"


def why_not_link(path: str, root: str) -> str | None:
    """A link may lead to a file of the same watched folder, not out of it."""
    if os.path.islink(path) and not is_within(os.path.realpath(path), os.path.realpath(root)):
        return "it is a link that leads out of the watched folder"
    return None


def _seen_from_roots(plan: Plan) -> Iterator[str]:
    """The folders into which the watcher itself puts files, as they are called below the watched ones."""
    for root in plan.folders:
        for own in map(os.path.realpath, plan.own):
            yield os.path.join(root, os.path.relpath(own, os.path.realpath(root)))


def _is_litter(name: str) -> bool:
    return is_litter(name) or name.lower() in _LITTER
