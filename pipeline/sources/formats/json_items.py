"""Items of a large JSON document, one at a time: what is in memory is one item."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.sources.manifests.compression import Damaged
from pipeline.sources.manifests.records import Broken, Record
from pipeline.sources.manifests.source import Stream

# Within each of thousands of nested lists ijson spells the whole path anew, for all that it is given at once:
# 100,000 brackets in a row took 42 s.
_PIECE = 4096
_LONGEST_PATH = 1000


def items(blocks: Iterator[bytes], path: str) -> Iterator[Record]:
    """The items of the list at a path, such as `images.item`; what is no object is Broken."""
    import ijson

    number = 0
    try:
        for number, item in enumerate(ijson.items(Stream(blocks), path, use_float=True), 1):
            yield number, item if isinstance(item, dict) else Broken("it is no JSON object")
    except (ijson.JSONError, Damaged, ValueError) as error:
        yield number + 1, Broken(f"the file cannot be read from here on ({_line(error)})")


def events(blocks: Iterator[bytes]) -> Iterator[tuple[str, str, Any]]:
    """What happens in a document, as (path, event, value).

    Ends early where it breaks off: whoever reads its items says so.
    """
    import ijson

    try:
        for path, event, value in ijson.parse(Stream(blocks), _PIECE, use_float=True, multiple_values=True):
            if len(path) > _LONGEST_PATH:
                return
            yield path, event, value
    except (ijson.JSONError, Damaged, ValueError):
        return


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
