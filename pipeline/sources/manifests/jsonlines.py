"""JSON lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from pipeline.display import size
from pipeline.sources.manifests.lines import Lines
from pipeline.sources.manifests.records import Broken, Record, Table
from pipeline.sources.manifests.source import Source

LOOKED_AT = 20
"""so many records tell which columns there are: not each need have all"""


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no value of JSON")


DECODER = json.JSONDecoder(parse_constant=_refused)


def jsonlines(source: Source) -> Table:
    return named(_records(Lines(source), source))


def named(records: Iterator[Record], unit: str = "line") -> Table:
    """Records as a table whose columns are those of the first of them."""
    first = list(islice(records, LOOKED_AT))
    return Table(names=names_of(first), records=chain(first, records), unit=unit)


def names_of(records: Iterable[Record]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for _, values in records if isinstance(values, dict) for name in values))


def _records(lines: Lines, source: Source) -> Iterator[Record]:
    number = 0
    for number, line in enumerate(lines, 1):
        if number in lines.too_long:
            yield number, Broken(f"the line is longer than {size(source.longest_line)}")
        elif line != "\n" and not line.isspace():
            yield number, parsed(line)
    if lines.damage:
        yield number + 1, Broken(f"{lines.damage}; what follows is lost")


def parsed(line: str) -> dict[str, object] | Broken:
    """The object that a line holds."""
    try:
        values = DECODER.decode(line)
    except json.JSONDecodeError as error:
        return Broken(f"it is no JSON ({error.msg.lower()}, column {error.colno})")
    except (ValueError, RecursionError) as error:  # NaN, a number of thousands of digits, endless nesting
        return Broken(f"it is no JSON that can be used ({error})")
    return values if type(values) is dict else Broken('it is no JSON object, such as {"image": "cat.jpg"}')
