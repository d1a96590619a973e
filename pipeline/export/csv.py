"""CSV: UTF-8, a line of names, text in quotes, numbers bare, nothing where there is nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from pipeline.export.files import replacing
from pipeline.export.order import Order, Tally
from pipeline.export.table import FIELDS, Column, Kind, Table, table

BOM = "\ufeff"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""with these, spreadsheets take a text for a formula, in quotes or not"""


@contextmanager
def csv(order: Order, tally: Tally) -> Iterator[Table]:
    with replacing(order.file) as file, table(FIELDS, order.file, tally) as rows:
        yield rows
        columns = rows.columns()
        file.write(BOM if order.spreadsheet else "")
        file.write(_line([column.name for column in columns], safe=order.spreadsheet))
        for cells in rows.rows():
            file.write(_line([_plain(*cell) for cell in zip(cells, columns, strict=True)], safe=order.spreadsheet))


def _line(cells: Sequence[Any], *, safe: bool) -> str:
    return ",".join([_cell(cell, safe) for cell in cells]) + "\n"


def _cell(value: Any, safe: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        doubled = value.replace('"', '""')
        return f'"\'{doubled}"' if safe and value.startswith(_FORMULA) else f'"{doubled}"'
    return json.dumps(value)


def _plain(value: Any, column: Column) -> Any:
    if value is None:
        return None
    if column.kind is Kind.MOMENT:
        return datetime.fromtimestamp(value, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps(value) if column.kind is Kind.TEXTS else value
