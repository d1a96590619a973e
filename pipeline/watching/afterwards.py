"""Afterwards: what becomes of a file once its questions have ended."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from pipeline.display import to_json
from pipeline.export import export
from pipeline.export.files import renamed
from pipeline.export.order import OnExists, Order
from pipeline.locators import printable
from pipeline.store.rows import ItemRow
from pipeline.watching.plan import After, Fate, Plan
from pipeline.watching.rules import Rules

WHY = ".error.json"
"""ends the name of the file that says why a picture has no answer"""
_BLOCK = 1 << 20


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
        order = Order(
            target=None,
            beside=True,
            on_exists=OnExists.OVERWRITE,
            media_root=media_root,
            allowed_roots=allowed_roots,
        )
        return cls(plan=rules.plan, rules=rules, order=order)

    def succeeded(self, path: str, items: Sequence[ItemRow]) -> str | None:
        """Where the file is now, in words; none where it was. Raises OSError, SetupError, OtherBytes."""
        if not os.path.lexists(path):
            return None if self.plan.on_success.after is After.KEEP else "moved or deleted"
        if self.plan.sidecar:
            export(items, self.plan.sidecar, self.order)
        _forget_why(path)
        fate = self.plan.on_success
        if fate.after is After.KEEP:
            return None
        _check_bytes(path, items)
        if fate.after is After.DELETE:
            Path(path).unlink()
            return "deleted"
        return f"moved to {printable(self._move(path, fate))}"

    def failed(self, path: str, items: Sequence[ItemRow]) -> str | None:
        """The same for a file that has no answer. A file beside it says why."""
        if not os.path.lexists(path):
            return None
        fate, place = self.plan.on_failure, path
        if fate.after is After.MOVE:
            place = self._move(path, fate)
        _write_why(place, path, items)
        return None if place == path else f"moved to {printable(place)}"

    def _move(self, path: str, fate: Fate) -> str:
        assert fate.folder
        root = self.rules.root(path)
        place = os.path.join(fate.folder, os.path.relpath(path, root) if root else os.path.basename(path))
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        return move(path, place)


def move(path: str, place: str) -> str:
    """Bring a file to its place, or to one with a number when another file has that. Returns where it is.

    Another file is never overwritten; killed half-way it is there twice, and the next try ends that.
    """
    if os.path.realpath(path) == os.path.realpath(place):
        return path
    for free in _places(place):
        try:
            os.link(path, free)
        except FileExistsError:
            if not _same(path, free):
                continue
        except OSError:  # another file system, or one without hard links
            if os.path.lexists(free) and not _same(path, free):
                continue
            _copy(path, free)
        Path(path).unlink()
        return free
    raise AssertionError("there is always another number")


def _places(place: str) -> Iterator[str]:
    yield place
    stem, ending = os.path.splitext(place)
    for number in count(1):
        yield f"{stem}-{number}{ending}"


def _copy(path: str, place: str) -> None:
    with Path(path).open("rb") as source, renamed(Path(place)) as file:
        shutil.copyfileobj(source, file, _BLOCK)
        file.flush()
        os.fsync(file.fileno())
        shutil.copystat(path, file.name)


def _same(path: str, other: str) -> bool:
    if os.path.samefile(path, other):
        return True
    return os.path.isfile(other) and os.path.getsize(path) == os.path.getsize(other) and _sha256(path) == _sha256(other)


def _check_bytes(path: str, items: Sequence[ItemRow]) -> None:
    """What is moved or deleted must be what the answers are about."""
    asked = {picture.sha256 for item in items for picture in item.pictures}
    if asked != {_sha256(path)}:
        raise OtherBytes


def _sha256(path: str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_why(place: str, path: str, items: Sequence[ItemRow]) -> None:
    failed = [item for item in items if item.error_code is not None]
    document = {
        "written_by": "pixmill",
        "file": printable(path),
        "code": failed[0].error_code if failed else "cancelled",
        "why": failed[0].error if failed else "The batch was cancelled.",
        "questions": [{"question": one.question, "code": one.error_code, "why": one.error} for one in failed],
    }
    with renamed(Path(f"{place}{WHY}")) as file:
        file.write(f"{to_json(document, ascii_only=True, indent=2)}\n".encode())


def _forget_why(path: str) -> None:
    """What said why an earlier try failed is no longer true."""
    place = Path(f"{path}{WHY}")
    try:
        document = json.loads(place.read_bytes())
    except (FileNotFoundError, ValueError):
        return
    if isinstance(document, dict) and document.get("written_by") == "pixmill":
        place.unlink()
