"""Passwords of servers appear in nothing that a person, a log or another program reads."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pipeline import broker
from pipeline.cli import main
from pipeline.errors import BrokerUnreachable
from pipeline.jobs import Lane
from pipeline.settings import read_settings
from pipeline.store.values import Ticket
from tests import servers
from tests.program import PROGRAM

WORD = "hunter2"
CLOSED = "127.0.0.1:1"


def said(capsys: pytest.CaptureFixture[str], url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PIXMILL_DATABASE_URL", url)
    assert main(["status"]) == 1
    out, err = capsys.readouterr()
    assert WORD not in out + err
    return err


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (f"postgresql://me:{WORD}@{CLOSED}/x", "***@127.0.0.1:1/x cannot be reached"),
        (f"postgresql://me@{CLOSED}/x?password={WORD}", "cannot be reached"),
        (f"postgresql://me:{WORD}@{CLOSED}/x?sslmode=never", "never"),
        (f"postgresql://me:{WORD}@{CLOSED}/x?sslmode=verify-full&sslrootcert=/nowhere.pem", "cannot be reached"),
        (f"postgresql://me:a@{WORD}@{CLOSED}/x", "@ is written %40"),
    ],
)
def test_a_database_that_is_not_reached(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, url: str, why: str
) -> None:
    assert why in said(capsys, url, monkeypatch)


def test_a_database_that_refuses_the_password(
    postgres: servers.Postgres, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.url("postgres", password=WORD, tcp=True)
    assert "password authentication failed" in said(capsys, url, monkeypatch)


@pytest.mark.parametrize("login", [f":{WORD}", f"me:{WORD}", f"me:a@{WORD}"])
def test_a_broker_that_is_not_reached(login: str, tmp_path: Path) -> None:
    settings = read_settings(environ={"PIXMILL_BROKER_URL": f"redis://{login}@{CLOSED}/0"}, folder=tmp_path)
    queue = broker.CeleryQueue(broker.app(settings), "m")
    for ask in (queue.standing, lambda: queue.send(Ticket((1,), Lane.NORMAL))):
        with pytest.raises(BrokerUnreachable) as caught:
            ask()
        assert "@127.0.0.1:1/0 cannot be reached" in str(caught.value)
        assert WORD not in str(caught.value)


def test_celery_s_own_commands_hide_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXMILL_BROKER_URL", f"redis://:{WORD}@{CLOSED}/0")
    command = [PROGRAM.with_name("celery"), "-A", "workers.app"]
    for words in (["report"], ["inspect", "ping"]):
        done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
        assert WORD not in done.stdout + done.stderr
