from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import database
from pipeline.store import Store
from tests.fleet import Fleet, fleet
from tests.servers import Redis


@pytest.fixture
def sqlite_store(sqlite_template: Path, tmp_path: Path) -> Iterator[Store]:
    store = Store(database.connect(f"sqlite:///{shutil.copy(sqlite_template, tmp_path)}"))
    yield store
    store.close()


@pytest.fixture
def ships(database_url: str, redis: Redis, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, redis, tmp_path) as made:
        yield made


@pytest.fixture
def on_sqlite(sqlite_template: Path, redis: Redis, tmp_path: Path) -> Iterator[Fleet]:
    path = tmp_path / "pixmill.db"
    path.write_bytes(sqlite_template.read_bytes())
    with fleet(f"sqlite:///{path}", redis, tmp_path) as made:
        yield made


@pytest.fixture
def on_postgres(postgres_url: str, redis: Redis, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(postgres_url, redis, tmp_path) as made:
        yield made
