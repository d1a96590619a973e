from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.store import Store
from tests.house import House


@pytest.fixture
def house(sqlite_store: Store) -> House:
    return House(sqlite_store, max_num_seqs=16)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The one that is watched."""
    made = tmp_path / "in"
    made.mkdir()
    return made


@pytest.fixture
def url(house: House) -> str:
    """The database's, for watchers in processes of their own."""
    return str(house.store._engine.url)
