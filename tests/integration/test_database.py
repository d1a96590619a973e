from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

import migrations
from pipeline import database, errors, tables
from pipeline.complaints import translated
from pipeline.store import Store
from pipeline.store.dialects import insert_rows
from tests import servers
from tests.pictures import WITHOUT_RIGHTS
from tests.store_world import Clock, World


def open_store(url: str) -> Store:
    return Store(database.connect(url))


# --- addresses ---------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_the_usual_spellings_of_postgresql(scheme: str) -> None:
    assert database.parse(f"{scheme}://me@host/db").drivername == "postgresql+psycopg"


def test_a_relative_path_is_meant_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert database.parse("sqlite:///a b/50%25.db").database == f"{tmp_path}/a b/50%.db"


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://me:secret@host/db", "sqlite://", "sqlite:///:memory:"])
def test_what_is_no_database_is_refused_and_keeps_its_secret(url: str) -> None:
    with pytest.raises(errors.DatabaseUnreachable) as caught:
        database.connect(url)
    assert "secret" not in str(caught.value)


# --- creation and upgrades ---------------------------------------------------------------------


def test_an_embedded_database_is_made_where_it_is_wanted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a folder/50%/pixmill.db"
    assert database.current(url) is None
    database.prepare(url)
    assert database.current(url) == migrations.HEAD
    database.prepare(url)
    World(store := open_store(url), Clock()).do("a.jpg")
    store.close()


def test_a_server_database_is_checked_and_made_on_demand(postgres: servers.Postgres) -> None:
    url = postgres.new()
    with pytest.raises(errors.DatabaseOlder, match=f"has schema none, this pixmill needs {migrations.HEAD}"):
        database.prepare(url)
    assert database.current(url) is None
    assert database.upgrade(url) == migrations.HEAD
    database.prepare(url)
    postgres.drop(url)


def test_upgrading_twice_changes_nothing(empty_url: str) -> None:
    database.upgrade(empty_url)
    store = open_store(empty_url)
    world = World(store, Clock())
    world.submit("a.jpg")
    assert database.upgrade(empty_url) == migrations.HEAD
    assert database.current(empty_url) == migrations.HEAD
    assert world.states() == ["queued"]
    store.close()


def test_many_processes_make_the_same_database_at_once(empty_url: str) -> None:
    source = "import sys; from pipeline import database; sys.stdin.read(); database.upgrade(sys.argv[1])"
    started = [
        subprocess.Popen([sys.executable, "-c", source, empty_url], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    for process in started:  # all have loaded, or are about to; the end of their input is the signal
        assert process.stdin is not None
        process.stdin.close()
    said = [process.stderr.read().decode() if process.stderr else "" for process in started]
    assert [process.wait() for process in started] == [0, 0, 0, 0], said
    assert database.current(empty_url) == migrations.HEAD
    for process in started:
        assert process.stderr is not None
        process.stderr.close()


def set_revision(url: str, revision: str) -> None:
    engine = database.connect(url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :new"), {"new": revision})
    engine.dispose()


def test_a_newer_schema_is_refused(empty_url: str) -> None:
    database.upgrade(empty_url)
    set_revision(empty_url, "9999")
    for refused in (database.prepare, database.upgrade):
        with pytest.raises(errors.DatabaseNewer, match="has schema 9999, which this pixmill"):
            refused(empty_url)
    assert database.current(empty_url) == "9999"


def test_an_upgrade_that_fails_leaves_nothing(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = migrations.run

    def fail(connection: sa.Connection) -> None:
        run(connection)
        raise KeyboardInterrupt

    monkeypatch.setattr(migrations, "run", fail)
    with pytest.raises(KeyboardInterrupt):
        database.upgrade(empty_url)
    monkeypatch.undo()
    assert database.current(empty_url) is None
    assert database.upgrade(empty_url) == migrations.HEAD


def test_a_restored_copy_gets_its_log_mode_back(tmp_path: Path) -> None:
    url, copy = f"sqlite:///{tmp_path}/a.db", tmp_path / "b.db"
    database.prepare(url)
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    connection.close()
    assert pragma(copy, "journal_mode") == "delete"
    database.prepare(f"sqlite:///{copy}")
    assert pragma(copy, "journal_mode") == "wal"


def pragma(path: Path, name: str) -> object:
    connection = sqlite3.connect(path)
    value = connection.execute(f"PRAGMA {name}").fetchone()[0]
    connection.close()
    return value


def test_how_connections_are_set(tmp_path: Path) -> None:
    database.prepare(f"sqlite:///{tmp_path}/a.db")
    engine = database.connect(f"sqlite:///{tmp_path}/a.db")
    with engine.connect() as connection:
        for name, value in (("journal_mode", "wal"), ("synchronous", 1), ("foreign_keys", 1), ("busy_timeout", 30000)):
            assert connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() == value
    engine.dispose()


# --- what goes wrong: the file -----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(f"1 0 0:1 / / rw - ext4 x rw\n2 1 0:2 / {tmp_path} rw - {kind} server rw\n")
    monkeypatch.setattr(database, "MOUNTS", table)
    with pytest.raises(errors.DatabaseOnNetwork, match=rf"lies on a network file system \({kind}\)"):
        database.prepare(f"sqlite:///{tmp_path}/new/pixmill.db")
    assert not (tmp_path / "new").exists()


def test_what_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "pixmill.db"
    path.write_bytes(b"This is a letter, not a database. " * 200)
    with pytest.raises(errors.DatabaseDamaged, match="cannot be used: file is not a database"):
        database.prepare(f"sqlite:///{path}")
    assert path.read_bytes().startswith(b"This is a letter")


def test_the_database_of_another_program_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE visits (url)")
    connection.close()
    with pytest.raises(errors.DatabaseDamaged, match="it holds the tables of another program"):
        database.prepare(f"sqlite:///{path}")
    assert pragma(path, "journal_mode") == "delete"


def test_a_torn_database_is_damaged(tmp_path: Path) -> None:
    url, path = f"sqlite:///{tmp_path}/pixmill.db", tmp_path / "pixmill.db"
    database.prepare(url)
    pages = path.read_bytes()
    path.write_bytes(pages[:4096] + b"\xff" * (len(pages) - 4096))
    store = open_store(url)
    with pytest.raises(errors.DatabaseDamaged):
        store.open_batch(None, origin="run", spec={})
    store.close()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(errors.DatabaseReadOnly):
        database.prepare(f"sqlite:///{tmp_path}/file/pixmill.db")


UNPRIVILEGED = """
import sys
from pipeline import database, errors, tables
from pipeline.store import Store
try:
    database.prepare(sys.argv[1])
    Store(database.connect(sys.argv[1])).open_batch(None, origin="run", spec={})
except errors.DatabaseReadOnly as error:
    print(error)
"""


@pytest.mark.parametrize("mode", ["nothing there", "folder closed", "file read-only"])
def test_a_read_only_folder(tmp_path: Path, mode: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    if mode != "nothing there":
        database.prepare(f"sqlite:///{home}/pixmill.db")
        for file in home.iterdir():
            file.chmod(0o444)
    home.chmod(0o000 if mode == "folder closed" else 0o555)
    said = without_rights(UNPRIVILEGED, f"sqlite:///{home}/pixmill.db")
    assert "cannot be written" in said and "point PIXMILL_HOME or PIXMILL_DATABASE_URL elsewhere" in said


def without_rights(source: str, *arguments: str) -> str:
    """What a program says whom permissions stop, as they do not stop root."""
    command = [*WITHOUT_RIGHTS, sys.executable, "-c", source, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "pixmill", place], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("only root can make a small disk")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_loses_nothing(full_disk: Path) -> None:
    url = f"sqlite:///{full_disk}/home/pixmill.db"
    database.prepare(url)
    store = open_store(url)
    world = World(store, Clock())
    batches = 0
    with pytest.raises(errors.DatabaseFull, match="free some space and run the same command again"):
        for batches in range(1000):
            world.submit(*(f"{batches}-{number}.jpg" for number in range(100)))
    assert len(world.ids()) in (batches * 100, batches * 100 + 100)
    (full_disk / "home" / "ballast").write_bytes(b"")
    subprocess.run(["mount", "-o", "remount,size=8m", full_disk], check=True)
    world.submit(*(f"{batches}-{number}.jpg" for number in range(100)))
    assert len(world.ids()) == (batches + 1) * 100
    store.close()


def test_a_disk_too_full_for_a_new_database(full_disk: Path) -> None:
    (full_disk / "ballast").write_bytes(b"x" * 950_000)
    with pytest.raises(errors.DatabaseFull):
        database.prepare(f"sqlite:///{full_disk}/home/pixmill.db")


def test_a_database_held_by_another_for_too_long_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/pixmill.db"
    database.prepare(url)
    monkeypatch.setattr(database, "PATIENCE_S", 0.05)
    store = open_store(url)
    other = sqlite3.connect(tmp_path / "pixmill.db")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(errors.DatabaseBusy):
        store.open_batch(None, origin="run", spec={})
    assert store.alias("readers do not wait") is None
    other.rollback()
    other.close()
    store.open_batch(None, origin="run", spec={})
    store.close()


# --- what goes wrong: the server ---------------------------------------------------------------


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(errors.DatabaseUnreachable) as caught:
        database.prepare("postgresql://me:secret@127.0.0.1:1/pixmill?sslpassword=secret")
    assert "127.0.0.1:1/pixmill" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_wrong_password(postgres: servers.Postgres) -> None:
    postgres.run("CREATE ROLE someone LOGIN PASSWORD 'right'")
    url = postgres.url("postgres", user="someone", password="wrong", tcp=True)
    with pytest.raises(errors.DatabaseUnreachable, match="password authentication failed") as caught:
        database.current(url)
    assert "wrong" not in str(caught.value)
    assert database.current(postgres.url("postgres", user="someone", password="right", tcp=True)) is None


def test_a_database_that_is_not_there(postgres: servers.Postgres) -> None:
    with pytest.raises(errors.DatabaseUnreachable, match='"nowhere" does not exist'):
        database.prepare(postgres.url("nowhere"))


def test_a_connection_that_was_cut_is_made_again(postgres: servers.Postgres, postgres_template: str) -> None:
    url = postgres.new(postgres_template)
    store = open_store(url)
    store.open_batch("one", origin="run", spec={})
    postgres.run(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{sa.make_url(url).database}'"
    )
    assert store.open_batch("two", origin="run", spec={}).id == 2
    store.close()
    postgres.drop(url)


def test_a_server_that_goes_away_in_a_transaction(postgres: servers.Postgres, postgres_template: str) -> None:
    url = postgres.new(postgres_template)
    store = open_store(url)
    with pytest.raises(errors.DatabaseUnreachable), store.reading() as connection:
        me = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        postgres.run(f"SELECT pg_terminate_backend({me})")
        connection.exec_driver_sql("SELECT 1")
    store.close()
    postgres.drop(url)


def test_a_lock_that_is_held_for_too_long(
    postgres: servers.Postgres, postgres_template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE_S", 0.05)
    url = postgres.new(postgres_template)
    store, other = open_store(url), database.connect(url)
    with other.begin() as connection:
        connection.exec_driver_sql("LOCK TABLE batches")
        with pytest.raises(errors.DatabaseBusy):
            store.open_batch(None, origin="run", spec={})
    other.dispose()
    store.close()
    postgres.drop(url)


def test_without_its_binaries_the_server_fixture_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "glob", lambda *_: [])
    with pytest.raises(RuntimeError, match="apt-get install postgresql"), servers.postgres():
        pass


def test_errors_of_our_own_keep_their_stack(database_url: str) -> None:
    store = open_store(database_url)
    with pytest.raises(sa.exc.IntegrityError):
        store.point_alias("m", 999)
    with pytest.raises(sa.exc.DBAPIError), store.reading() as connection:
        connection.exec_driver_sql("SELECT nonsense")
    store.close()


def test_stores_of_many_threads_share_an_engine(database_url: str) -> None:
    store = open_store(database_url)
    made: list[int] = []
    threads = [
        threading.Thread(target=lambda: made.append(store.open_batch(None, origin="run", spec={}).id))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 20
    store.close()


def test_setpriv_is_there_for_tests_that_drop_privileges() -> None:
    assert shutil.which("setpriv")


def test_a_program_that_stands_still_within_a_transaction_is_let_go(
    postgres: servers.Postgres, postgres_template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others wait for its locks: one frozen worker would stop them all."""
    monkeypatch.setattr("pipeline.database.IDLE_S", 0.2)
    url = postgres.new(postgres_template)
    engine, other = database.connect(url), database.connect(postgres.url("postgres"))
    with pytest.raises(errors.DatabaseUnreachable), translated(engine.url), engine.begin() as frozen:
        pid = frozen.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        with other.execution_options(isolation_level="AUTOCOMMIT").connect() as watcher:
            query = f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid}"
            while watcher.exec_driver_sql(query).all():
                time.sleep(0.01)
        frozen.exec_driver_sql("SELECT 1")
    engine.dispose()
    other.dispose()
    postgres.drop(url)


def test_rows_that_postgresql_refuses_are_an_error_of_sqlalchemy_s_also_when_they_are_copied(store: Store) -> None:
    """Else nobody would know that a connection broke, and try again."""
    twice = [(b"d" * 32, 1, 1, 1, "png", 1.0)] * 2
    columns = ("sha256", "bytes", "width", "height", "format", "first_seen")
    with pytest.raises(sa.exc.IntegrityError), store._writing() as (connection, _):
        insert_rows(connection, tables.images, columns, twice)
    with store._writing() as (connection, _):
        insert_rows(connection, tables.images, columns, twice[:1])
        assert connection.execute(sa.select(tables.images.c.format)).scalars().all() == ["png"]
