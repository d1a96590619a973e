from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import database
from pipeline.store import Store
from tests.fleet import Fleet, fleet
from tests.servers import Postgres, Redis


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path}/pixmill.db"
    database.prepare(url)
    store = Store(database.connect(url))
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
def on_postgres(postgres: Postgres, postgres_template: str, redis: Redis, tmp_path: Path) -> Iterator[Fleet]:
    url = postgres.new(postgres_template)
    with fleet(url, redis, tmp_path) as made:
        yield made
    postgres.drop(url)
