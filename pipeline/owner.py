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
            pid_started=_started(pid, proc) or 0,
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
        return _started(self.pid, proc) != self.pid_started


def _started(pid: int, proc: Path) -> int | None:
    """When the process began, or none when there is no such process (a zombie is none: it runs nothing)."""
    try:
        stat = (proc / str(pid) / "stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in brackets may hold spaces and brackets itself: fields count from the last bracket.
    state, *fields = stat[stat.rindex(b")") + 2 :].split()
    return None if state in (b"Z", b"X") else int(fields[18])
