"""COCO captions: a results file, which `COCO.loadRes` of pycocotools reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.export.ids import known
from pipeline.export.listed import Listed, listed
from pipeline.export.order import Order, Tally
from pipeline.store.rows import ItemRow

_NUMBERED = re.compile(r"(?:.*/)?(?:COCO_\w+_)?(\d{12})\.\w+")
"""COCO's own file names: COCO_val2014_000000000042.jpg, 000000000042.jpg"""


class Captions:
    def __init__(self, results: Listed, tally: Tally) -> None:
        self._results, self._tally = results, tally

    def write(self, item: ItemRow) -> None:
        id = known(item, "image_id")
        id = _of_name(item) if id is None else id
        if id is None or item.answer is None:
            self._tally.left("without an image_id")
        else:
            self._results.add({"image_id": id, "caption": item.answer.text})


@contextmanager
def coco(order: Order, tally: Tally) -> Iterator[Captions]:
    with listed(order, tally) as results:
        yield Captions(results, tally)


def _of_name(item: ItemRow) -> int | None:
    found = _NUMBERED.fullmatch(item.pictures[0].name) if len(item.pictures) == 1 else None
    return int(found[1]) if found else None
