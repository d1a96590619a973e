"""Ids of data sets, which are numbers in their files and texts when they were custom ids."""

from __future__ import annotations

import re

from pipeline.store.rows import ItemRow

_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


def known(item: ItemRow, column: str) -> int | str | None:
    """What stands in that column, else the custom id; what is written as numbers are is one."""
    found = (item.columns or {}).get(column)
    id = item.custom_id if found is None else found
    if isinstance(id, str) and _NUMBER.fullmatch(id):
        return int(id)
    return id if isinstance(id, (int, str)) else None
