"""VQAv2: a results file, as its evaluation takes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.export.ids import known
from pipeline.export.listed import Listed, listed
from pipeline.export.order import Order, Tally
from pipeline.store.rows import ItemRow


class Answers:
    def __init__(self, results: Listed, tally: Tally) -> None:
        self._results, self._tally = results, tally

    def write(self, item: ItemRow) -> None:
        id = known(item, "question_id")
        if id is None or item.answer is None:
            self._tally.left("without a question_id")
        else:
            self._results.add({"question_id": id, "answer": item.answer.text})


@contextmanager
def vqav2(order: Order, tally: Tally) -> Iterator[Answers]:
    with listed(order, tally) as results:
        yield Answers(results, tally)
