"""The report of a demo: what the table, the page, the contact sheet and the JSON document tell."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from pipeline.display import number, terminal_width
from workers.demo.folder import Folder
from workers.demo.marking import Card, Mark, Marked, Origin, Score, by_kind, score
from workers.session import Outcome

HEAD = ("PICTURE", "QUESTION", "ANSWER", "TRUTH", "MARK")
PICTURES_SHOWN = 5
NOT_RIGHT_SHOWN = 10
WIDTH = 160
"""of the table where there is no terminal: the page and the database have the texts in full"""
NARROW = 12
"""cells that a text keeps on the smallest terminal"""


@dataclass(frozen=True, kw_only=True)
class Report:
    """The marked answers, and how the answering went."""

    folder: Folder
    cards: tuple[Card, ...]
    outcome: Outcome
    origins: tuple[Origin, ...]

    @property
    def questions(self) -> Score:
        return score(one for card in self.cards for one in card.questions)

    @property
    def captions(self) -> Score:
        return score(card.caption for card in self.cards)

    @property
    def pictures_per_second(self) -> float | None:
        """Pictures with all their answers; what was known before does not count."""
        rate, items = self.outcome.rate, self.questions.asked + self.captions.asked
        return rate * len(self.cards) / items if rate and items else None

    def document(self) -> dict[str, object]:
        questions, captions = self.questions, self.captions
        rate = self.pictures_per_second
        return {
            "pictures": len(self.cards),
            "questions": questions.asked,
            "correct": questions.right,
            "accuracy": _rounded(questions.share),
            "captions": captions.asked,
            "captions_correct": captions.right,
            "captions_accuracy": _rounded(captions.share),
            "by_kind": {kind: _rounded(kind_score.share) for kind, kind_score in by_kind(self.cards).items()},
            "pictures_per_second": _rounded(rate),
            **self.outcome.document(),
            "answered_by": [asdict(origin) for origin in self.origins],
            "folder": str(self.folder.path),
            "page": str(self.folder.page),
            "contact_sheet": str(self.folder.sheet),
        }

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Lines of the table: the first pictures whole, of the others what is not right."""
        for card in self.cards[:PICTURES_SHOWN]:
            yield from (_row(card, one) for one in card.marked)
        yield from islice(self._not_right(), NOT_RIGHT_SHOWN)

    def left_out(self) -> int:
        """How many questions and captions the table does not show."""
        shown = sum(1 for _ in self.rows())
        return sum(len(card.marked) for card in self.cards) - shown

    def _not_right(self) -> Iterator[tuple[str, ...]]:
        for card in self.cards[PICTURES_SHOWN:]:
            yield from (_row(card, one) for one in card.marked if one.mark is not Mark.RIGHT)

    def figures(self) -> Iterator[str]:
        yield f"Right: {self.questions} questions, {self.captions} captions."
        if self.pictures_per_second and self.outcome.rate:
            cached = f", {number(self.outcome.cached)} of them from the cache" if self.outcome.cached else ""
            rates = f"{self.pictures_per_second:,.1f} pictures/s, {self.outcome.rate:,.1f} answers/s"
            yield f"{rates}, the engine's start included{cached}."
        for origin in self.origins:
            yield f"Answered by {origin}."

    def places(self) -> Iterator[str]:
        """Where things are, and what can be tried on them."""
        folder = self.folder
        yield f"Page      {folder.page}"
        yield f"Sheet     {folder.sheet}"
        yield f"Pictures  {folder.pictures}"
        yield f"Truth     {folder.truth}"

    def commands(self) -> Iterator[str]:
        """What the README does with pictures, on these."""
        pictures, batch = shlex.quote(_near(self.folder.pictures)), self.outcome.batch.name
        yield f"pixmill run {pictures} -m demo -q 'How many shapes are there?'"
        yield f"pixmill answers star --batch {batch}"
        yield f"pixmill export --format jsonl -o answers.jsonl --batch {batch}"


def _row(card: Card, one: Marked) -> tuple[str, ...]:
    texts = (one.question.text, one.said, one.question.answer)
    return (Path(card.exercise.name).stem, *map(_cut, texts), one.mark)


def _cut(text: str) -> str:
    """The three texts share what the line leaves them."""
    room = max(NARROW, ((terminal_width() or WIDTH) - 26) // 3)
    return text if len(text) <= room else f"{text[: room - 1]}…"


def _near(path: Path) -> str:
    """The path as one would type it from here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def left_out_line(count: int) -> str:
    return f"... and {number(count)} more, which the page shows."
