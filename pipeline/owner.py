"""An owner: the one process that holds jobs, named so that its death can be proven."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """A process, told apart from every other one: pids are used again, on each host, in each container."""

    host: str
    boot_id: str
    pid_namespace: str
    pid: int
    pid_started: int
    """clock ticks since boot"""

    @classmethod
    def current(cls, proc: Path = PROC) -> Owner:
        pid = os.getpid()
        return cls(
            host=socket.gethostname(),
            boot_id=(proc / "sys/kernel/random/boot_id").read_text().strip(),
            pid_namespace=os.readlink(proc / "self/ns/pid"),
            pid=pid,
            pid_started=_look_at(pid, proc)[1],
        )

    def __str__(self) -> str:
        return f"{self.host}/{self.boot_id}/{self.pid_namespace}/{self.pid}/{self.pid_started}"

    def gone_for(self, me: Owner, proc: Path = PROC) -> bool:
        """Whether `me` can prove that this process has ended. False also means: nobody here can tell.

        Pids are only comparable within one pid namespace of one boot. A host's name proves nothing:
        containers share names, and a restarted machine keeps its own.
        """
        if (self.boot_id, self.pid_namespace) != (me.boot_id, me.pid_namespace):
            return False
        if not _exists(self.pid):
            return True
        try:
            state, started = _look_at(self.pid, proc)
        except OSError:
            return False  # /proc may be mounted so that other people's processes are hidden
        return state in (b"Z", b"X") or started != self.pid_started


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _look_at(pid: int, proc: Path) -> tuple[bytes, int]:
    """A process's state (Z: it has ended and waits for its parent) and when it began."""
    stat = (proc / str(pid) / "stat").read_bytes()
    # The name in brackets may hold spaces and brackets itself: fields count from the last bracket.
    state, *fields = stat[stat.rindex(b")") + 2 :].split()
    return state, int(fields[18])
