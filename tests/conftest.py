"""What every test has: a home of its own, and databases on request."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import database
from pipeline.store import Store
from tests import servers
from tests.signal_stack import SignalStack
from tests.store_world import Clock, World, check


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the person who runs the tests is read or written."""
    for name in [name for name in os.environ if name.startswith("PIXMILL_")]:
        monkeypatch.delenv(name)
    for name in ("DATA", "CONFIG", "CACHE", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / "xdg" / name.lower()))
    monkeypatch.setenv("PIXMILL_HOME", str(tmp_path / "home"))


# A shell ignores Ctrl-C for what it starts in the background, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

SIGNAL_STACK = SignalStack.now()


@pytest.fixture(autouse=True)
def own_signal_stack() -> Iterator[None]:
    """Signals are still handled after a test that let openvino-genai answer in this process."""
    yield
    SIGNAL_STACK.restore()


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.Postgres]:
    """A real PostgreSQL server, one for all tests."""
    if servers.WITHOUT_POSTGRES:
        pytest.skip("PIXMILL_TEST_WITHOUT_POSTGRES=1")
    with servers.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[servers.Redis]:
    with servers.redis() as server:
        yield server


@pytest.fixture
def redis(redis_server: servers.Redis) -> Iterator[servers.Redis]:
    """A real Redis server with nothing in it. Tests may kill it and start it again."""
    if not redis_server.process:
        redis_server.start(empty=True)
    redis_server.client.flushall()
    yield redis_server


@pytest.fixture(scope="session")
def postgres_template(postgres: servers.Postgres) -> str:
    """A database with the schema, to be copied."""
    postgres.run('CREATE DATABASE "pixmill"')
    database.upgrade(postgres.url("pixmill"))
    return "pixmill"


@pytest.fixture(scope="session")
def _postgres_database(postgres: servers.Postgres, postgres_template: str) -> str:
    return postgres.new(postgres_template)


@pytest.fixture
def postgres_url(postgres: servers.Postgres, _postgres_database: str) -> str:
    """A database with the schema and nothing in it. Tests that change the schema make one of their own."""
    postgres.empty(_postgres_database)
    return _postgres_database


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "pixmill.db"
    database.prepare(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgres"])
def backend(request: pytest.FixtureRequest) -> str:
    """Tests that ask for it, or for a database below, run once on each kind."""
    return str(request.param)


@pytest.fixture
def database_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with the schema and nothing in it."""
    if backend == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    path = tmp_path / "pixmill.db"
    shutil.copy(request.getfixturevalue("sqlite_template"), path)
    return f"sqlite:///{path}"


@pytest.fixture
def empty_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without a schema."""
    if backend == "sqlite":
        yield f"sqlite:///{tmp_path}/new/pixmill.db"
        return
    server: servers.Postgres = request.getfixturevalue("postgres")
    url = server.new()
    yield url
    server.drop(url)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(database_url: str, clock: Clock) -> Iterator[Store]:
    """A store whose time stands still until the test moves it. What must always be true is checked at the end."""
    store = Store(database.connect(database_url), clock=clock)
    yield store
    check(store)
    store.close()


@pytest.fixture
def world(store: Store, clock: Clock) -> World:
    return World(store, clock)
