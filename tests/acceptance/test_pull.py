"""`pixmill models pull`, as a person meets it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.hub import Hold, HubServer, hub_server
from tests.models import make
from tests.program import Program

REPO = "OpenVINO/Tiny-int4-ov"
WEIGHTS = "openvino_language_model.bin"
PIECE = 1 << 20


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make("llava", tmp_path_factory.mktemp("repo"))
    with (folder / WEIGHTS).open("ab") as file:
        file.write(os.urandom(5 * PIECE))
    return folder


@pytest.fixture
def hub(build: Path) -> Iterator[HubServer]:
    with hub_server() as server:
        server.add(REPO, build)
        yield server


@pytest.fixture
def pixmill(tmp_path: Path, hub: HubServer) -> Program:
    """The program without a model, and with a hub to fetch one from."""
    (tmp_path / "here").mkdir()
    known = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": "", "NO_PROXY": "127.0.0.1"}
    return Program(tmp_path / "home", tmp_path / "here", known)


def test_a_pulled_model_is_ready(pixmill: Program, hub: HubServer, build: Path) -> None:
    ended = pixmill("models", "pull", REPO, "--name", "tiny")
    assert ended.out.startswith("tiny is ready: build ")
    assert ended.out.endswith(f", in {pixmill.home}/models/tiny. Try: pixmill run photos -m tiny\n")
    assert ended.err.splitlines()[-1].startswith("tiny 6.1 MB of 6.1 MB")
    hub.served.clear()
    again = pixmill("models", "pull", REPO, "--name", "tiny", "--quiet")
    assert not hub.served and again.out == ended.out
    assert again.err == f"tiny is {REPO} at aaaaaaaaaaaa already; nothing was fetched.\n"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_pull_that_is_ended_goes_on_where_it_stopped(
    pixmill: Program, hub: HubServer, build: Path, how: signal.Signals
) -> None:
    hold = hub.holds[WEIGHTS] = Hold(3 * PIECE)
    process = pixmill.start("models", "pull", REPO, "--name", "tiny")
    hold.reached.wait()
    work = pixmill.home / "models" / ".staging" / "tiny" / WEIGHTS
    while not work.exists() or work.stat().st_size < 3 * PIECE:
        assert process.poll() is None
    process.send_signal(how)
    out, err = process.communicate()
    hold.onward.set()
    assert out == "" and not (pixmill.home / "models" / "tiny").exists()
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "Stopped. What has come is kept: the same command goes on from there." in err
    hub.served.clear()
    pixmill("models", "pull", REPO, "--name", "tiny")
    assert hub.served == {WEIGHTS: (build / WEIGHTS).stat().st_size - 3 * PIECE}
    for file in build.iterdir():
        assert (pixmill.home / "models" / "tiny" / file.name).read_bytes() == file.read_bytes()


def test_what_hinders_is_said(pixmill: Program, hub: HubServer) -> None:
    offline = replace(pixmill, environment={**pixmill.environment, "HF_HUB_OFFLINE": "1"})
    assert (
        f"HF_HUB_OFFLINE is set, so nothing is fetched. Unset it to pull {REPO}."
        in offline("models", "pull", REPO, code=1).err
    )
    hub.repos[REPO].gated = True
    assert f"{hub.url}/{REPO}, then set HF_TOKEN" in pixmill("models", "pull", REPO, code=1).err


def test_a_token_that_is_stored_is_used(pixmill: Program, hub: HubServer, tmp_path: Path) -> None:
    hub.repos[REPO].gated = True
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "token").write_text("hf_accepted")
    pixmill("models", "pull", REPO, "--name", "tiny", "--quiet")
