"""Real servers for tests, each with a folder and port of its own."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis as redis_client
import sqlalchemy as sa

from pipeline import database

WITHOUT_POSTGRES = os.environ.get("PIXMILL_TEST_WITHOUT_POSTGRES") == "1"
"""read at import: tests run without PIXMILL_* variables"""

_PATIENCE_S = 30.0
_REDIS = {"bind": "127.0.0.1", "save": "", "appendonly": "yes", "appendfsync": "always", "daemonize": "no"}
_SETTINGS = {
    # A test's data need not survive anything.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "60",
    "shared_buffers": "32MB",
}

_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
_ALONE = (
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@dataclass
class Postgres:
    """A private PostgreSQL server. Databases are copies of one with Pixmill's schema."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def url(self, name: str, *, user: str = "postgres", password: str | None = None, tcp: bool = False) -> str:
        login = user if password is None else f"{user}:{password}"
        if tcp:
            return f"postgresql://{login}@127.0.0.1:{self.port}/{name}"
        return f"postgresql://{login}@/{name}?host={self.folder}&port={self.port}"

    def restart(self) -> None:
        """As an administrator does it: what is under way is broken off, what was committed stays."""
        self.stop()
        self.start()

    def stop(self) -> None:
        self.process.send_signal(2)  # SIGINT: end the sessions and stop
        self.process.wait(_PATIENCE_S)

    def start(self) -> None:
        self.process = _start(self.folder, self.port)

    def new(self, template: str = "template0") -> str:
        """The address of a fresh database."""
        name = f"test_{next(self._numbers)}"
        self.run(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def empty(self, url: str) -> None:
        """Remove all rows and whoever is still connected: in a tenth of the time that another copy takes."""
        engine = database.connect(url)
        with engine.begin() as connection:
            connection.exec_driver_sql(_ALONE)
            names = connection.exec_driver_sql(_TABLES).scalars()
            connection.exec_driver_sql(f"TRUNCATE {', '.join(names)} RESTART IDENTITY")
        engine.dispose()

    def drop(self, url: str) -> None:
        self.run(f'DROP DATABASE "{sa.make_url(url).database}" WITH (FORCE)')

    def run(self, statement: str) -> None:
        engine = database.connect(self.url("postgres"))
        try:
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql(statement)
        finally:
            engine.dispose()


@dataclass
class Redis:
    """A private Redis server, which can be killed and started again, with its data or without."""

    folder: Path
    port: int
    password: str | None = None
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        login = f":{self.password}@" if self.password else ""
        return f"redis://{login}127.0.0.1:{self.port}/0"

    @property
    def client(self) -> redis_client.Redis:
        return redis_client.Redis(port=self.port, password=self.password, socket_timeout=_PATIENCE_S)

    def start(self, *, empty: bool = False) -> None:
        if empty:
            shutil.rmtree(self.folder / "appendonlydir", ignore_errors=True)
        settings = {**_REDIS, "port": self.port, "dir": self.folder, "requirepass": self.password or ""}
        words = [str(word) for name, value in settings.items() for word in (f"--{name}", value)]
        with (self.folder / "log").open("ab") as log:
            command = ["setpriv", "--pdeathsig", "KILL", _redis_binary(), *words]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        until = time.monotonic() + _PATIENCE_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"Redis did not start: {(self.folder / 'log').read_text()}")
            time.sleep(0.02)

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait(_PATIENCE_S)
            self.process = None

    def _answers(self) -> bool:
        try:
            with self.client as client:
                return bool(client.ping())
        except redis_client.RedisError:
            return False


@contextmanager
def redis(password: str | None = None) -> Iterator[Redis]:
    """A server that ends with the block; and with this process, however that ends."""
    folder = Path(tempfile.mkdtemp(prefix="pixmill-redis-"))
    server = Redis(folder, _free_port(), password)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder)


def _redis_binary() -> str:
    found = shutil.which("redis-server")
    if not found:
        raise RuntimeError("These tests need a Redis server: apt-get install redis-server")
    return found


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server that ends with the block; and with this process, however that ends."""
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="pixmill-postgres-"))
    user = _user()
    try:
        shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)
        _initialise(binaries, folder, user)
        port = _free_port()
        server = Postgres(folder, port, _start(folder, port))
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def _start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    binaries = _binaries()
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(_server(binaries, folder, port, _user()), stdout=log, stderr=log, cwd=folder)
    try:
        _wait(binaries, folder, port, process)
    except BaseException:
        process.kill()
        raise
    return process


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise RuntimeError(
            "These tests need a PostgreSQL server: apt-get install postgresql"
            " (or leave them out with PIXMILL_TEST_WITHOUT_POSTGRES=1)."
        )
    return found[-1].parent


def _user() -> str:
    """Whom the server runs as: it refuses to be root."""
    if os.getuid() != 0:
        return pwd.getpwuid(os.getuid()).pw_name
    return "postgres" if any(user.pw_name == "postgres" for user in pwd.getpwall()) else "nobody"


def _initialise(binaries: Path, folder: Path, user: str) -> None:
    command: list[str | Path] = [
        binaries / "initdb",
        "-D",
        folder / "data",
        "-U",
        "postgres",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
    ]
    command += ["--auth-local=trust", "--auth-host=scram-sha-256"]
    done = subprocess.run([*_as(user), *command], capture_output=True, text=True, cwd=folder, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"initdb failed: {done.stderr}")


def _server(binaries: Path, folder: Path, port: int, user: str) -> list[str | Path]:
    settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
    place: list[str | Path] = ["-D", folder / "data", "-k", folder, "-h", "127.0.0.1", "-p", str(port)]
    return [*_as(user, "--pdeathsig", "INT"), binaries / "postgres", *place, *settings]


def _as(user: str, *options: str) -> list[str]:
    if os.getuid() != 0:
        return ["setpriv", *options] if options else []
    group = str(pwd.getpwnam(user).pw_gid)
    return ["setpriv", *options, "--reuid", user, "--regid", group, "--clear-groups"]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait(binaries: Path, folder: Path, port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _PATIENCE_S
    ready: list[str | Path] = [binaries / "pg_isready", "-q", "-h", folder, "-p", str(port)]
    while subprocess.run(ready, check=False).returncode != 0:
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"PostgreSQL did not start: {(folder / 'log').read_text()}")
        time.sleep(0.05)
