"""Afterwards: what becomes of a file once its questions have ended."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.export import export
from pipeline.export.order import OnExists, Order
from pipeline.export.sidecars import HELD_ALREADY
from pipeline.locators import display, locate, printable
from pipeline.sources.paths import SUFFIXES
from pipeline.store.rows import ItemRow, PictureRow
from pipeline.watching.bringing import bring, is_there, remove, sha256
from pipeline.watching.plan import After, Fate, Plan
from pipeline.watching.reasons import forget_why, write_why
from pipeline.watching.rules import Rules

_NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS)


class OtherBytes(Exception):
    """The file no longer holds what was asked about."""


@dataclass(frozen=True, kw_only=True)
class Afterwards:
    """A plan's fates, carried out. Each step may be done twice: a killed watcher begins it again."""

    plan: Plan
    rules: Rules
    order: Order
    """where sidecars go"""

    @classmethod
    def of(cls, rules: Rules, media_root: Path | None, allowed_roots: tuple[Path, ...] | None) -> Afterwards:
        own = tuple(map(Path, rules.plan.own))  # named by the person who started it
        order = Order(
            target=None,
            beside=True,
            on_exists=OnExists.OVERWRITE,
            media_root=media_root,
            allowed_roots=None if allowed_roots is None else allowed_roots + own,
        )
        return cls(plan=rules.plan, rules=rules, order=order)

    def is_too_late(self, path: str) -> bool:
        """Whether the file went before its answers could be written beside it."""
        return bool(self.plan.sidecar) and self.plan.on_success.after is After.KEEP and not is_there(path)

    def succeeded(self, path: str, items: Sequence[ItemRow]) -> str | None:
        """What became of the file, in words; none if nothing. Raises OSError, SetupError, OtherBytes."""
        fate = self.plan.on_success
        if not is_there(path):
            return None if fate.after is After.KEEP else "moved or deleted"
        known = os.lstat(path)
        if fate.after is not After.KEEP:
            _check_bytes(path, items)
        place = self._bring(path, fate)
        left_out = self._write_beside(place, items)
        forget_why(path)
        if place != path or fate.after is After.DELETE:
            remove(path, known)
        done = "deleted" if fate.after is After.DELETE else _moved(path, place)
        return " and ".join(filter(None, (done, *left_out))) or None

    def failed(self, path: str, items: Sequence[ItemRow]) -> str | None:
        """The same for a file that has no answer. A file beside it says why."""
        if not is_there(path):
            return None
        known = os.lstat(path)
        place = self._bring(path, self.plan.on_failure)
        try:
            write_why(place, path, items)
        except OSError as error:
            if place != path or error.errno not in _NOT_OURS:
                raise
            return "its folder may not be written, so no file beside it says why"
        if place != path:
            remove(path, known)
        return _moved(path, place)

    def _bring(self, path: str, fate: Fate) -> str:
        """Have the file where it is to be, too. Returns where that is."""
        if fate.folder is None:
            return path
        root = self.rules.root(path)
        place = os.path.join(fate.folder, os.path.relpath(path, root) if root else os.path.basename(path))
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        return bring(path, place)

    def _write_beside(self, place: str, items: Sequence[ItemRow]) -> list[str]:
        """Returns why there is no sidecar, in words, if there is none."""
        if not self.plan.sidecar:
            return []
        moved = [replace(item, pictures=tuple(self._at(place, one) for one in item.pictures)) for item in items]
        order = replace(self.order, whole_names=_has_namesakes(place))
        left_out = export(moved, self.plan.sidecar, order).left_out
        return [f"left without a sidecar (as an answer {why})" for why in left_out if why != HELD_ALREADY]

    def _at(self, place: str, picture: PictureRow) -> PictureRow:
        locator = locate(place, self.order.media_root)
        return replace(picture, locator=locator, name=display(locator))


def _moved(path: str, place: str) -> str | None:
    return None if place == path else f"moved to {printable(place)}"


def _check_bytes(path: str, items: Sequence[ItemRow]) -> None:
    """What is moved or deleted must be what the answers are about."""
    asked = {picture.sha256 for item in items for picture in item.pictures}
    if asked != {sha256(path)}:
        raise OtherBytes


def _has_namesakes(path: str) -> bool:
    """Whether pictures that differ from it in their ending alone lie beside it: x.jpg has x.txt, and so would x.png."""
    stem, mine = os.path.splitext(path)
    endings = {*SUFFIXES, *map(str.upper, SUFFIXES)} - {mine}
    return any(os.path.lexists(stem + ending) for ending in endings)
