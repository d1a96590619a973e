"""The report of a comparison: what the table, the page and the JSON document tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from pipeline.display import duration, number, rounded, shortened, size
from workers.comparison.pairs import Tally
from workers.comparison.side import Side

NOT_MEASURED = "not measured"


@dataclass(frozen=True, kw_only=True)
class Report:
    """Two sides, and their answers beside each other."""

    sides: tuple[Side, Side]
    tally: Tally

    @property
    def same_build(self) -> bool:
        return self.sides[0].build == self.sides[1].build

    @property
    def exit_code(self) -> int:
        return next((code for side in self.sides if (code := side.outcome.exit_code)), 0)

    def head(self) -> tuple[str, ...]:
        return ("", *(side.model for side in self.sides))

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Each figure of both sides."""
        yield "Build", *(f"{side.build[:12]}, {side.precision}, {side.family}" for side in self.sides)
        yield "Device", *(side.device for side in self.sides)
        yield "Answers", *map(_answers, self.sides)
        if self.tally.with_truth:
            yield "Right", self._right(0), self._right(1)
        yield "Pictures/s", *(_rate(side.pictures_per_second(self.tally.pictures)) for side in self.sides)
        yield "Answers/s", *(_rate(side.answers_per_second) for side in self.sides)
        yield "Peak memory", *(_size(side.peak_memory) for side in self.sides)
        yield "Size on disk", *(size(side.size) for side in self.sides)
        yield "Load time", *(_seconds(side.load_s) for side in self.sides)

    def sentences(self) -> Iterator[str]:
        """How the answers compare, and what a reader should know about the figures."""
        tally = self.tally
        if self.same_build:
            yield "Both are the same build."
        if tally.equal_share is not None and tally.mean_similarity is not None:
            yield f"Equal: {number(tally.equal)} of {number(tally.compared)} answers ({tally.equal_share:.1%})."
            yield f"Words in common: {tally.mean_similarity:.1%} on average (difflib's ratio over words)."
        if tally.left_out:
            yield f"Not compared: {number(tally.left_out)}, to which one of them has no answer."
        known = [side.model for side in self.sides if not side.measured]
        if known:
            who = " and ".join(dict.fromkeys(known))
            yield f"{who}: all answers were known before, so no speed was measured; --force asks again."

    def worst(self, most: int) -> Iterator[tuple[str, ...]]:
        """Rows of the answers that part, the least similar first."""
        for pair in islice(self.tally.worst, most):
            told = (pair.question, *pair.said, *([pair.told] if self.tally.with_truth else []))
            names = ", ".join(picture.name.rpartition("/")[2] for picture in pair.pictures)
            yield (f"{pair.similarity:.2f}", *(shortened(text, len(told) + 1) for text in (names, *told)))

    def worst_head(self) -> tuple[str, ...]:
        return ("ALIKE", "PICTURE", "QUESTION", *(side.model for side in self.sides)) + (
            ("TRUTH",) if self.tally.with_truth else ()
        )

    def document(self) -> dict[str, object]:
        tally = self.tally
        return {
            "models": [self._side(place) for place in (0, 1)],
            "same_build": self.same_build,
            "pictures": self.tally.pictures,
            "compared": tally.compared,
            "not_compared": tally.left_out,
            "equal": tally.equal,
            "equal_share": rounded(tally.equal_share),
            "similarity": rounded(tally.mean_similarity),
            "with_truth": tally.with_truth,
            "worst": [pair.document() for pair in tally.worst],
        }

    def _side(self, place: int) -> dict[str, object]:
        side = self.sides[place]
        return {
            "model": side.model,
            "build": side.build,
            "family": side.family,
            "precision": side.precision,
            "device": side.device,
            "correct": self.tally.right[place] if self.tally.with_truth else None,
            "accuracy": rounded(self.tally.accuracy(place)),
            "pictures_per_second": rounded(side.pictures_per_second(self.tally.pictures)),
            "peak_memory": side.peak_memory,
            "size": side.size,
            **side.outcome.document(),
            "answers_per_second": rounded(side.answers_per_second),
            "load_seconds": rounded(side.load_s),
        }

    def _right(self, side: int) -> str:
        return f"{number(self.tally.right[side])} of {number(self.tally.with_truth)} ({self.tally.accuracy(side):.1%})"


def _answers(side: Side) -> str:
    counts = side.outcome.counts
    return number(counts.done) + (f", {number(counts.failed)} failed" if counts.failed else "")


def _rate(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{value:,.2f}"


def _size(value: int | None) -> str:
    return NOT_MEASURED if value is None else size(value)


def _seconds(value: float | None) -> str:
    return NOT_MEASURED if value is None else duration(value)
