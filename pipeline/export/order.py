"""An order: what an export is to make, and the account of what became of the items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from pipeline.errors import UsageError


class OnExists(StrEnum):
    """What becomes of a file that is there already, among files that are many."""

    SKIP = "skip"
    OVERWRITE = "overwrite"
    APPEND = "append"


class Pictures(StrEnum):
    """How pictures come into a folder that is to hold them."""

    LINK = "link"
    COPY = "copy"
    NONE = "none"
    """not at all: they lie there"""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a person asked for, beside the items."""

    target: str | None
    """the file or the folder; none: next to the pictures"""
    spreadsheet: bool = False
    on_exists: OnExists = OnExists.SKIP
    beside: bool = False
    whole_names: bool = False
    """sidecars are named after the picture with its ending, as cat.jpg.txt"""
    image_root: Path | None = None
    """places in a folder start from here; none: from the media root, else from the current folder"""
    pictures: Pictures = Pictures.LINK
    media_root: Path | None = None
    blobs: Path | None = None
    allowed_roots: tuple[Path, ...] | None = None
    fetched: Path | None = None
    """the folder of fetched pictures"""
    max_picture_bytes: int | None = None

    @property
    def file(self) -> str:
        """The target, which only sidecars can do without."""
        if self.target is None:
            raise UsageError(detail="Which file? Name it with -o OUT; - is standard output.")
        return self.target

    @property
    def root(self) -> Path:
        return self.image_root or self.media_root or Path.cwd()


@dataclass
class Tally:
    """How many lines or files an export has made, which items it left out, and how far it is."""

    written: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    """by the reason, in words that follow a number"""
    read: int = 0
    aside: int = 0
    """of those that were read, what waits until all were"""
    placed: int = 0
    """of what waited, what is dealt with"""
    tell: Callable[[Tally], object] = field(default=lambda tally: None, repr=False, compare=False)
    """is called with each step"""

    def wrote(self, count: int = 1) -> None:
        self.written += count

    def left(self, why: str, count: int = 1) -> None:
        self.left_out[why] += count

    def has_read(self) -> None:
        self.read += 1
        self.tell(self)

    def has_placed(self, count: int = 1) -> None:
        self.placed += count
        self.tell(self)
