"""The report of an evaluation: what the table, the page and the JSON document tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from pipeline.display import number, rounded, shortened, things
from pipeline.evaluation.tally import Case, Kind, Tally
from pipeline.evaluation.truth import Some, Truth


@dataclass(frozen=True, kw_only=True)
class Report:
    """Answers beside the truth."""

    file: str
    batch: str | None
    where: tuple[str, ...]
    truth: Truth
    tally: Tally

    @property
    def title(self) -> str:
        return self.batch or "All answers"

    def head(self) -> tuple[str, ...]:
        return ("", "ITEMS", "FAILED", *(metric.title for metric in self.tally.metrics))

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Each kind, then all; what failed counts as wrong but in the last row."""
        tally = self.tally
        if len(tally.kinds) > 1:
            for name, kind in sorted(tally.kinds.items()):
                yield self._row(name, kind)
        yield self._row("all", tally.all)
        if tally.all.failed:
            yield self._row("answered only", tally.all, of_answered=True)

    def _row(self, name: str, kind: Kind, *, of_answered: bool = False) -> tuple[str, ...]:
        counts = (kind.answered, 0) if of_answered else (kind.items, kind.failed)
        scores = ((metric, kind.score(metric.name, of_answered=of_answered)) for metric in self.tally.metrics)
        return (name, *map(number, counts), *(metric.shown(score) for metric, score in scores))

    def sentences(self) -> Iterator[str]:
        """What a reader should know about the figures."""
        tally, truth = self.tally, self.truth
        yield f"{things(tally.all.items, 'item')} marked; the truth: {self.file}."
        if tally.all.failed:
            yield f"{number(tally.all.failed)} of them failed and count as wrong, but not among those answered only."
        if tally.open:
            yield f"Not answered yet, and in no figure: {number(tally.open)}."
        if tally.reviewed:
            yield f"Answers that a person corrected: {number(tally.reviewed)}."
        yield from _said("Items without truth, in no figure", tally.without)
        yield from _said("Items with the truth of an item before, marked too", tally.again)
        yield from _said("Truth about none of the items", tally.foreign)
        yield from _said("Truth told twice, of which the first counts", truth.doubled)
        yield from _said("Truth that cannot be used", truth.unusable, "; ")

    def worst_head(self) -> tuple[str, ...]:
        return (self.tally.metrics[0].title, "PICTURE", "QUESTION", "ANSWER", "TRUTH")

    def worst(self, most: int) -> Iterator[tuple[str, ...]]:
        """Rows of the worst answers."""
        metric = self.tally.metrics[0]
        for case in islice(self.tally.worst, most):
            names = ", ".join(picture.name.rpartition("/")[2] for picture in case.pictures)
            told = (names, case.question, case.said, told_of(case))
            yield (metric.shown(case.scores[metric.name]), *(shortened(text, len(told)) for text in told))

    def document(self) -> dict[str, object]:
        tally, truth = self.tally, self.truth
        return {
            "truth": self.file,
            "batch": self.batch,
            "where": self.where,
            "items": tally.seen,
            "open": tally.open,
            "reviewed": tally.reviewed,
            **self._figures(tally.all),
            "kinds": {name: self._figures(kind) for name, kind in sorted(tally.kinds.items())},
            "without_truth": tally.without.document(),
            "truth_used_again": tally.again.document(),
            "truth_foreign": tally.foreign.document(),
            "truth_doubled": truth.doubled.document(),
            "truth_unusable": truth.unusable.document(),
            "worst": [case.document() for case in tally.worst],
        }

    def _figures(self, kind: Kind) -> dict[str, object]:
        return {
            "marked": kind.items,
            "answered": kind.answered,
            "failed": kind.failed,
            "scores": self._scores(kind),
            "scores_of_answered": self._scores(kind, of_answered=True),
        }

    def _scores(self, kind: Kind, *, of_answered: bool = False) -> dict[str, float | None]:
        names = (metric.name for metric in self.tally.metrics)
        return {name: rounded(kind.score(name, of_answered=of_answered)) for name in names}


def told_of(case: Case) -> str:
    """The right answers, each once, with how many said so."""
    said = {answer: case.right.answers.count(answer) for answer in case.right.answers}
    return " | ".join(f"{answer} ({count})" if count > 1 else answer for answer, count in said.items())


def _said(what: str, some: Some, between: str = ", ") -> Iterator[str]:
    if some:
        yield f"{what}: {number(some.count)} ({some.listed(between)})."
