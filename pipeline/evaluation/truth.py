"""The truth: right answers by an item's own id, or by its picture and question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

from pipeline.display import printable
from pipeline.evaluation import vqa
from pipeline.locators import INSIDE, display
from pipeline.store.rows import ItemRow

SHOWN = 5
"""examples of what is counted"""
LONGEST = 120
"""letters of one"""
YES_NO, NUMBER, OTHER, CAPTION = "yes/no", "number", "other", "caption"


@dataclass(frozen=True, eq=False, slots=True)
class Right:
    """What is right to say."""

    answers: tuple[str, ...]
    """of several people, or in several words"""
    kind: str
    name: str
    """what a person finds it by in the file"""


@dataclass
class Some:
    """So many, and the first of them."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(name)

    def __bool__(self) -> bool:
        return self.count > 0

    def listed(self, between: str = ", ") -> str:
        """Them as a person reads them, on one line."""
        more = self.count - len(self.first)
        shown = between.join(_cut(printable(name)) for name in self.first)
        return shown + (f"{between.rstrip()} and {more:,} more" if more else "")

    def document(self) -> dict[str, object]:
        return {"count": self.count, "first": self.first}


@dataclass(slots=True)
class Truth:
    """Right answers, as a file tells them. Questions are the same in capitals and with other blanks too."""

    captions: bool = False
    """whether they describe pictures"""
    known: list[Right] = field(default_factory=list)
    doubled: Some = field(default_factory=Some)
    """told again: what was told first counts"""
    unusable: Some = field(default_factory=Some)
    """places in the file"""
    _by_id: dict[tuple[str, str], Right] = field(default_factory=dict)
    _by_name: dict[tuple[str, str], list[tuple[list[str], Right]]] = field(default_factory=dict)

    def add(self, picture: str, question: str, *answers: str, id: str = "", kind: str | None = None) -> None:
        """What is right about a picture; with an id the picture may be empty, and an empty question means any."""
        right = Right(answers, kind or kind_of(answers), id or ": ".join(filter(None, (picture, question))))
        if not (self._add_id(id, question, right) if id else self._add_picture(picture, question, right)):
            self.doubled.add(right.name)
            return
        self.known.append(right)
        if id and picture:
            self._add_picture(picture, question, right)

    def _add_id(self, id: str, question: str, right: Right) -> bool:
        return self._by_id.setdefault((id, _plain(question)), right) is right

    def _add_picture(self, picture: str, question: str, right: Right) -> bool:
        folders, name = _parted(picture.removeprefix("./"))
        there = self._by_name.setdefault((name, _plain(question)), [])
        if any(folders == others for others, _ in there):
            return False
        there.append((folders, right))
        return True

    def about(self, item: ItemRow) -> Right | None:
        """What is right to say to an item: found by its id, else by one of its pictures."""
        asked = [_plain(question) for question in (item.question, item.name) if question]
        ids = () if item.custom_id is None else _spellings(item.custom_id)
        for id, question in product(ids, (*asked, "")):
            if right := self._by_id.get((id, question)):
                return right
        found = (self._of_picture(picture.locator, one) for one in (*asked, "") for picture in item.pictures)
        return next((right for right in found if right), None)

    def _of_picture(self, locator: str, question: str) -> Right | None:
        """A picture is known by its name, with as many of its folders as the truth names."""
        folders, name = _parted(display(locator.replace(INSIDE, "/")))
        told = self._by_name.get((name, question), ())
        return next((right for named, right in told if folders[len(folders) - len(named) :] == named), None)


def _spellings(id: str) -> tuple[str, str]:
    """An id, and as it is where the other table's column had gaps: 12.0 for 12."""
    bare = id.removesuffix(".0")
    return (id, f"{id}.0" if bare == id else bare)


def kind_of(answers: Sequence[str]) -> str:
    """What most of the answers are."""
    ((most, _),) = Counter(map(vqa.normalised, answers)).most_common(1)
    if most in ("yes", "no"):
        return YES_NO
    return NUMBER if _is_number(most) else OTHER


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _plain(question: str) -> str:
    return " ".join(question.casefold().split())


def _parted(path: str) -> tuple[list[str], str]:
    *folders, name = path.split("/")
    return folders, name
