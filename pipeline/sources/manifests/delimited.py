"""CSV and TSV: a line of names, then rows of cells, as spreadsheets write them."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.display import size, things
from pipeline.errors import UsageError
from pipeline.sources.manifests.lines import Lines
from pipeline.sources.manifests.records import Broken, Record, Table
from pipeline.sources.manifests.source import Source

_DELIMITERS = ",;\t|"

# Ours spoken plainly; what else the reader complains about is said in its words.
_COMPLAINTS = {
    "field larger": "a cell is longer than {limit}; is a quote left open?",
    "unexpected end": "a quote is opened and never closed",
    "new-line character": "a carriage return stands in it: save the file with ordinary line ends",
}


def delimited(source: Source) -> Table:
    """The rows; what separates cells is what the first line has most of."""
    lines = Lines(source)
    numbered = iter(lines)
    above, first = next(((above, line) for above, line in enumerate(numbered, 1) if line.strip()), (0, ""))
    csv.field_size_limit(source.longest_field)
    delimiter = _delimiter(first)
    names = _names(source, first, delimiter)
    reader = csv.reader(numbered, delimiter=delimiter, strict=True)
    return Table(names=names, records=_records(reader, names, lines, source, above))


def _delimiter(line: str) -> str:
    counts = Counter(line)
    return max(_DELIMITERS, key=lambda delimiter: counts[delimiter])


def _names(source: Source, line: str, delimiter: str) -> tuple[str, ...]:
    try:
        cells = next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        why = _complaint(str(error), 1, 1, source)
        raise UsageError(detail=f"{source.shown}: the first line holds no names of columns ({why}).") from error
    if not cells:
        raise UsageError(detail=f"{source.shown} is empty: a first line with the names of the columns is needed.")
    return _told_apart(cells)


def _told_apart(names: Sequence[str]) -> tuple[str, ...]:
    """Each name once: what has none, or one that stood before, is called by its place."""
    seen: dict[str, None] = {}
    for place, name in enumerate(names, 1):
        plain = name.strip()
        seen[plain if plain and plain not in seen else f"{plain or 'column'}_{place}"] = None
    return tuple(seen)


def _records(reader: Any, names: tuple[str, ...], lines: Lines, source: Source, above: int) -> Iterator[Record]:
    """`above` is how many lines stand above the first row; a row that spans several goes by its first."""
    width, before = len(names), above
    while True:
        try:
            for cells in reader:
                number, before = before + 1, above + reader.line_num
                if lines.damage:  # it was cut within its quotes
                    break
                if lines.too_long and not lines.too_long.isdisjoint(range(number, before + 1)):
                    yield number, Broken(f"the line is longer than {size(source.longest_line)}")
                elif len(cells) == width:
                    yield number, dict(zip(names, cells, strict=True))
                elif cells:
                    yield number, _fitted(names, cells)
            break
        except csv.Error as error:
            if lines.damage:
                break
            number, before = before + 1, above + reader.line_num
            yield number, Broken(_complaint(str(error), number, before, source))
    if lines.damage:
        yield before + 1, Broken(f"{lines.damage}; what follows is lost")


def _fitted(names: tuple[str, ...], cells: list[str]) -> dict[str, Any] | Broken:
    """Spreadsheets write empty cells behind the last column."""
    width = len(names)
    if len(cells) > width and not any(cells[width:]):
        return dict(zip(names, cells, strict=False))
    return Broken(f"it has {things(len(cells), 'cell')}, the first line names {width} columns")


def _complaint(said: str, first: int, last: int, source: Source) -> str:
    limit = size(source.longest_field)
    why = next((why for begin, why in _COMPLAINTS.items() if said.startswith(begin)), said).format(limit=limit)
    return why if first == last else f"{why} (up to line {last:,})"
