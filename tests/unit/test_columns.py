from __future__ import annotations

import json

import pytest

from pipeline.columns import Spelled, spell


def test_spelled_columns_read_like_others_and_are_stored_as_they_are() -> None:
    columns = Spelled('{"a":  1, "b": [null]}')
    assert (dict(columns), len(columns), columns["b"]) == ({"a": 1, "b": [None]}, 2, [None])
    assert spell(columns) == '{"a":  1, "b": [null]}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_null(value: float) -> None:
    text = spell({"x": value, "y": {"z": [value, 1.5]}})
    assert json.loads(text) == {"x": None, "y": {"z": [None, 1.5]}}
