"""Pictures from elsewhere, as a person meets them."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house import draw
from tests.program import Program
from tests.web import Hold, Site, certificates, site

RUN = ("run", "-q", "What?", "--max-tokens", "4", "--unverified")


@pytest.fixture
def server(program: Program, tmp_path: Path) -> Iterator[Site]:
    """A server whose certificate the program trusts, as that of a company's own."""
    tls, authority = certificates("127.0.0.1")
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    program.environment = {**program.environment, "SSL_CERT_FILE": str(tmp_path / "authority.pem")}
    with site(tls) as made:
        yield made


@pytest.fixture
def picture(server: Site, tmp_path: Path) -> str:
    return server.add("/a.bmp", draw(tmp_path / "a.bmp", 1, (64, 48)).read_bytes(), headers={"ETag": '"1"'})


def everything(program: Program) -> str:
    with sqlite3.connect(program.home / "pixmill.db") as connection:
        return "\n".join(connection.iterdump())


def test_an_address_is_answered_once_it_is_allowed(program: Program, server: Site, picture: str) -> None:
    ended = program(*RUN, picture, code=2)
    assert ended.err.endswith(
        f"Error: {picture}: the address is not allowed: 127.0.0.1 is not among the allowed domains; "
        "--allow-domain 127.0.0.1 (PIXMILL_ALLOWED_DOMAINS) adds it.\n"
    )
    ended = program(*RUN, picture, "--allow-domain", "127.0.0.1", code=2)
    assert "127.0.0.1 is a loopback address; --allow-private (PIXMILL_ALLOW_PRIVATE) allows that" in ended.err
    assert server.connections == 0
    ended = program(*RUN, picture, "--allow-domain", "127.0.0.1", "--allow-private")
    assert ended.out.startswith(f"{picture}: What?\n") and "1 answered now" in ended.err
    program.environment = {**program.environment, "PIXMILL_ALLOWED_DOMAINS": "127.0.0.1", "PIXMILL_ALLOW_PRIVATE": "1"}
    assert "1 known before" in program(*RUN, picture).err
    assert server.paths == ["/a.bmp"]


def test_what_gives_access_is_neither_stored_nor_shown(program: Program, server: Site, picture: str) -> None:
    program.environment = {**program.environment, "PIXMILL_ALLOWED_DOMAINS": "127.0.0.1", "PIXMILL_ALLOW_PRIVATE": "1"}
    secrets = [picture.replace("https://", "https://me:hunter2@"), f"{picture}?X-Amz-Signature=hunter2"]
    for secret in secrets:
        ended = program(*RUN, secret, code=2)
        assert "would be stored with the job" in ended.err and "hunter2" not in ended.err
    (program.folder / "list.txt").write_text("\n".join([picture, *secrets]))
    (program.folder / "rows.csv").write_text("\n".join(["image,note", *(f"{secret},mine" for secret in secrets)]))
    listed = program(*RUN, "--from-file", "list.txt", code=3)
    rows = program(*RUN, "--manifest", "rows.csv", code=3)
    failed = program("failed", "ls", "--json")
    shown = listed.out + listed.err + rows.out + rows.err + failed.out
    assert "1 answered now" in listed.err and "hunter2" not in shown
    assert "hunter2" not in everything(program)


def test_ctrl_c_does_not_wait_for_a_slow_server(program: Program, server: Site, picture: str) -> None:
    hold = server.pages["/a.bmp"].hold = Hold()
    process = program.start(*RUN, picture, "--allow-domain", "127.0.0.1", "--allow-private")
    assert hold.reached.wait(60)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in err
    assert not hold.onward.is_set()
    assert [path for path in (program.home / "cache").rglob("*") if path.is_file()] == []
