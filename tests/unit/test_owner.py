from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.owner import Owner


@pytest.fixture
def child(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process with a name that is hard to read in /proc."""
    program = tmp_path / "a) R 1 (b"
    shutil.copy("/bin/sleep", program)
    process = subprocess.Popen([program, "60"])
    yield process
    process.kill()
    process.wait()


def owner_of(process: subprocess.Popen[bytes]) -> Owner:
    stat = Path(f"/proc/{process.pid}/stat").read_text()
    return replace(Owner.current(), pid=process.pid, pid_started=int(stat.rpartition(")")[2].split()[19]))


def test_a_process_knows_itself() -> None:
    me = Owner.current()
    assert me.pid == os.getpid()
    assert me == Owner.current()
    assert str(me) == f"{me.host}/{me.boot_id}/{me.pid_namespace}/{me.pid}/{me.pid_started}"
    assert not me.gone_for(me)


def test_a_living_process_is_not_gone(child: subprocess.Popen[bytes]) -> None:
    assert not owner_of(child).gone_for(Owner.current())


def test_a_killed_process_is_gone_also_before_it_was_waited_for(child: subprocess.Popen[bytes]) -> None:
    owner = owner_of(child)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie from here on
    assert owner.gone_for(Owner.current())
    child.wait()
    assert owner.gone_for(Owner.current())


def test_a_stopped_process_is_not_gone(child: subprocess.Popen[bytes]) -> None:
    owner = owner_of(child)
    child.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED)
    assert not owner.gone_for(Owner.current())


def test_a_pid_that_is_used_again_is_another_process(child: subprocess.Popen[bytes]) -> None:
    owner = owner_of(child)
    assert replace(owner, pid_started=owner.pid_started - 1).gone_for(Owner.current())


@pytest.mark.parametrize("elsewhere", [{"boot_id": "another"}, {"pid_namespace": "pid:[1]"}])
def test_what_cannot_be_seen_from_here_is_not_proven(elsewhere: dict[str, str]) -> None:
    me = Owner.current()
    gone = replace(me, pid_started=0)
    assert gone.gone_for(me)
    assert not replace(gone, **elsewhere).gone_for(me)  # type: ignore[arg-type]


def test_the_name_of_the_host_proves_nothing() -> None:
    me = Owner.current()
    assert replace(me, host="another", pid_started=0).gone_for(me)


def test_a_process_that_is_hidden_is_not_proven_gone(child: subprocess.Popen[bytes], tmp_path: Path) -> None:
    assert not owner_of(child).gone_for(Owner.current(), proc=tmp_path)
