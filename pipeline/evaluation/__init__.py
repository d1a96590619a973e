"""Evaluation: answers beside the truth, and how near they come to it."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.display import things
from pipeline.errors import UsageError
from pipeline.evaluation import metrics, reading
from pipeline.evaluation.report import Report
from pipeline.evaluation.tally import Tally, evaluate
from pipeline.settings import Settings
from pipeline.store import Store


def evaluation(
    store: Store, settings: Settings, *, gt: str, batch: str | None, where: tuple[str, ...], wanted: Sequence[str]
) -> Report:
    """Mark the items of a batch, or all jobs. Raises UsageError where the truth is about none of them."""
    if batch is not None:
        store.views.batch_head(batch)  # says so if there is none, before a large file is read
    truth = reading.read(gt, settings)
    asked = metrics.chosen(wanted, captions=truth.captions)
    tally = evaluate(lambda: store.views.items(batch, where=where), truth, asked)
    if not tally.all.items and not tally.open:
        raise UsageError(detail=_about_nothing(gt, tally))
    return Report(file=gt, batch=batch, where=where, truth=truth, tally=tally)


def _about_nothing(gt: str, tally: Tally) -> str:
    if not tally.seen:
        return "There are no items to mark."
    return (
        f"{gt} says nothing about the {things(tally.seen, 'item')}: it is about {tally.foreign.listed()};"
        f" the items are {tally.without.listed()}."
    )
