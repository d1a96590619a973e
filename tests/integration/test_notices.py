"""Notices that batches have ended: in both databases, to a server of our own, to commands of this machine."""

from __future__ import annotations

import json
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipeline import database
from pipeline.errors import ForbiddenUrl, NoticeRefused, SettingInvalid, UsageError
from pipeline.notify.options import OnDone
from pipeline.notify.post import SIGNATURE, TIMESTAMP, post, signature
from pipeline.notify.sending import Sender
from pipeline.remote.policy import Policy
from pipeline.settings import Settings, read_settings
from pipeline.store import Store
from pipeline.store.notices import FIRST_PAUSE_S, LEASE_S, TRIES, Kind, NoticeState
from tests.integration.test_store_at_once import at_once
from tests.store_world import Clock, World, answer
from tests.web import certificates

LOCAL = Policy(frozenset({"http://127.0.0.1"}), allow_private=True)


@dataclass
class Receiver:
    """What a server was sent, and what it answers."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    """answered first; then 204"""
    headers: dict[str, str] = field(default_factory=dict)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@contextmanager
def receiving(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_POST(self) -> None:
            made.got.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(made.statuses.pop(0) if made.statuses else 204)
            for name, value in made.headers.items():
                self.send_header(name, value)
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    made.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_port}/hook"
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def settings(**more: object) -> Settings:
    return read_settings(
        {"allowed_domains": ("http://127.0.0.1",), "allow_private": True, "on_done_secret": "hush", **more}
    )


def ended(world: World, *whom: tuple[Kind, str], name: str = "n") -> int:
    batch = world.submit("a", name=name)
    world.store.notices.want(batch, whom)
    world.finish(*[answer(claim) for claim in world.claim()])
    world.store.settle()
    return batch


# --- posts ---------------------------------------------------------------------------------------


def test_a_post_is_signed_so_that_the_receiver_can_tell(receiver: Receiver) -> None:
    post(receiver.url, b'{"batch": "n"}', "hush", LOCAL, clock=lambda: 1_000_000.7)
    ((headers, body),) = receiver.got
    assert (headers["Content-Type"], headers[TIMESTAMP], body) == ("application/json", "1000000", b'{"batch": "n"}')
    assert headers[SIGNATURE] == signature("hush", "1000000", body)
    # openssl: printf '1000000.{"batch": "n"}' | openssl dgst -sha256 -hmac hush
    assert headers[SIGNATURE] == "sha256=2ac6aec92996b4e10ae6d2c68ce19bdfe4ad41d90ce23d99f430fa2539be223b"
    assert signature("other", "1000000", body) != headers[SIGNATURE] != signature("hush", "1000001", body)


@pytest.mark.parametrize("status", [302, 307])
def test_a_post_follows_no_redirect(receiver: Receiver, status: int) -> None:
    receiver.statuses, receiver.headers = [status], {"Location": receiver.url}
    with pytest.raises(ForbiddenUrl, match="redirects"):
        post(receiver.url, b"{}", "hush", LOCAL)
    assert len(receiver.got) == 1


def test_a_post_goes_where_pictures_may_be_fetched_from_and_nowhere_else(receiver: Receiver) -> None:
    with pytest.raises(ForbiddenUrl, match="allowed domains"):
        post(receiver.url, b"{}", "hush", Policy(allow_private=True))
    with pytest.raises(ForbiddenUrl, match="loopback"):
        post(receiver.url, b"{}", "hush", Policy(LOCAL.domains))
    port = receiver.url.rpartition(":")[2]
    with pytest.raises(ForbiddenUrl, match="loopback"):
        post(f"http://localhost:{port}", b"{}", "hush", Policy(frozenset({"http://localhost"})))
    assert receiver.got == []


def test_what_was_not_received_is_refused(receiver: Receiver) -> None:
    receiver.statuses = [500]
    with pytest.raises(NoticeRefused, match="500"):
        post(receiver.url, b"{}", "hush", LOCAL)
    with pytest.raises(NoticeRefused):
        post("http://127.0.0.1:1/", b"{}", "hush", LOCAL)


def test_a_post_over_tls_goes_to_a_server_whose_certificate_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls, authority = certificates("127.0.0.1")
    policy = Policy(frozenset({"127.0.0.1", "localhost"}), allow_private=True)
    with receiving(tls) as receiver:
        with pytest.raises(NoticeRefused, match="certificate verify failed"):
            post(receiver.url, b"{}", "hush", policy)
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        with pytest.raises(NoticeRefused, match="certificate is not valid for 'localhost'"):
            post(receiver.url.replace("127.0.0.1", "localhost"), b"{}", "hush", policy)
        assert receiver.got == []
        post(receiver.url, b"{}", "hush", policy)
    ((headers, body),) = receiver.got
    assert headers[SIGNATURE] == signature("hush", headers[TIMESTAMP], body)


# --- notices -------------------------------------------------------------------------------------


def test_a_notice_is_sent_once_the_batch_has_ended(world: World, receiver: Receiver) -> None:
    sender = Sender(settings(), world.store)
    batch = world.submit("a", "b", name="n")
    world.store.notices.want(batch, [(Kind.URL, receiver.url)])
    assert sender.look() == 0
    world.finish(*[answer(claim) for claim in world.claim()])
    world.store.settle()
    assert (sender.look(), sender.look()) == (1, 0)
    told = json.loads(receiver.got[0][1])
    assert (told["event"], told["batch"], told["state"]) == ("batch.ended", "n", "completed")
    assert (told["counts"]["total"], told["counts"]["done"]) == (2, 2)


def test_what_was_not_received_is_sent_again_later_and_not_for_ever(
    world: World, receiver: Receiver, clock: Clock
) -> None:
    sender = Sender(settings(), world.store)
    ended(world, (Kind.URL, receiver.url))
    receiver.statuses = [500, 503]
    assert (sender.look(), sender.look()) == (0, 0)
    clock.pass_(FIRST_PAUSE_S)
    assert (sender.look(), sender.look()) == (0, 0)
    clock.pass_(2 * FIRST_PAUSE_S)
    assert sender.look() == 1
    bodies = [body for _, body in receiver.got]
    assert len(bodies) == 3
    assert len(set(bodies)) == 1

    receiver.statuses = [500] * 100
    ended(world, (Kind.URL, receiver.url), name="m")
    for _ in range(TRIES + 5):
        sender.look()
        clock.pass_(3600)
    (notice,) = world.store.notices.of("m")
    assert (notice.state, notice.tries, notice.error) == (
        NoticeState.FAILED,
        TRIES,
        "The notice was not received: the server answered 500.",
    )


def test_what_can_never_be_sent_is_not_tried_again(world: World, receiver: Receiver) -> None:
    receiver.statuses, receiver.headers = [302], {"Location": "http://169.254.169.254/"}
    ended(world, (Kind.URL, receiver.url))
    Sender(settings(), world.store).look()
    (notice,) = world.store.notices.of("n")
    assert (notice.state, notice.tries) == (NoticeState.FAILED, 1)


def test_of_many_programs_one_sends_and_one_that_died_is_replaced(
    database_url: str, world: World, receiver: Receiver, clock: Clock
) -> None:
    ended(world, (Kind.URL, receiver.url))
    (notice,) = world.store.notices.due()
    assert world.store.notices.take(notice)  # and ends here
    clock.pass_(LEASE_S + 1)
    stores = [Store(database.connect(database_url), clock=clock) for _ in range(4)]
    at_once(*[Sender(settings(), store).look for store in stores])
    assert len(receiver.got) == 1
    world.store.notices.not_sent(notice, "late", for_good=True)
    assert world.store.notices.of("n")[0].state is NoticeState.SENT, "who was replaced says nothing any more"
    for store in stores:
        store.close()


def test_a_machine_that_cannot_tell_leaves_it_to_others_and_says_why_once(
    world: World, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    ended(world, (Kind.URL, receiver.url), (Kind.COMMAND, "mail"))
    for unable, why in [
        (settings(on_done_secret=None), "PIXMILL_ON_DONE_SECRET"),
        (settings(allowed_domains=()), "allowed domains"),
    ]:
        caplog.clear()
        sender = Sender(unable, world.store)
        assert sender.look() == sender.look() == 0
        assert (caplog.text.count(why), caplog.text.count("names no such command")) == (1, 1)
    assert {notice.tries for notice in world.store.notices.of("n")} == {0}


def test_a_command_is_what_this_machine_s_file_says(world: World, tmp_path: Path) -> None:
    script = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read()); sys.exit(int(sys.argv[2]))"
    words = [sys.executable, "-c", script, str(tmp_path / "told")]
    (tmp_path / "pixmill.toml").write_text(f"[commands]\ngood = {[*words, '0']}\nbad = {[*words, '3']}\n")
    here = read_settings(folder=tmp_path)
    ended(world, (Kind.COMMAND, "good"), (Kind.COMMAND, "bad"), (Kind.COMMAND, "rm -rf /"))
    assert Sender(here, world.store).look() == 1
    assert json.loads((tmp_path / "told").read_text())["batch"] == "n"
    states = {notice.target: (notice.state, notice.tries) for notice in world.store.notices.of("n")}
    assert states == {
        "good": (NoticeState.SENT, 1),
        "bad": (NoticeState.WAITING, 1),
        "rm -rf /": (NoticeState.WAITING, 0),
    }


def test_the_same_command_again_tells_again(world: World, receiver: Receiver) -> None:
    sender = Sender(settings(), world.store)
    batch = ended(world, (Kind.URL, receiver.url))
    assert sender.look() == 1
    world.store.notices.want(batch, [(Kind.URL, receiver.url)])
    assert sender.look() == 1


# --- options -------------------------------------------------------------------------------------


def test_whom_to_tell_is_checked_when_it_is_said(tmp_path: Path) -> None:
    url = "https://127.0.0.1/hook"
    here = settings(allowed_domains=("127.0.0.1",))
    assert OnDone(on_done=(url, url)).whom(here) == ((Kind.URL, url),)
    with pytest.raises(UsageError, match="PIXMILL_ON_DONE_SECRET"):
        OnDone(on_done=(url,)).whom(settings(on_done_secret=None))
    with pytest.raises(ForbiddenUrl, match="token"):
        OnDone(on_done=(f"{url}?token=x",)).whom(here)
    with pytest.raises(ForbiddenUrl, match="allowed domains"):
        OnDone(on_done=("https://example.org/",)).whom(here)
    with pytest.raises(UsageError, match="https:// or http://"):
        OnDone(on_done=("s3://bucket/key",)).whom(settings(allowed_domains=("s3://bucket",)))
    with pytest.raises(UsageError, match="names no such command"):
        OnDone(on_done_run=("mail",)).whom(here)
    (tmp_path / "pixmill.toml").write_text('[commands]\nmail = "mail me"\n')
    with pytest.raises(SettingInvalid, match="list of words"):
        OnDone(on_done_run=("mail",)).whom(read_settings(folder=tmp_path))
