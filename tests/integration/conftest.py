from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import database
from pipeline.store import Store


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path}/pixmill.db"
    database.prepare(url)
    store = Store(database.connect(url))
    yield store
    store.close()
