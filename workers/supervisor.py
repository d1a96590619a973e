"""A supervisor: keeps programs running, and ends them together."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipeline.signals import heeding

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
HEALTHY_S = 60.0
"""a program that ran for so long was well: its next crash counts as the first"""
_READ = 1 << 16
_LONGEST_LINE = 1 << 16

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """What to run, and the name that its lines are told apart by."""

    name: str
    command: tuple[str, ...]


class Backoff:
    """How long to wait after each crash: twice as long as before, unless it had been well for a while."""

    def __init__(self, first_s: float = FIRST_PAUSE_S) -> None:
        self._first_s = self._next_s = first_s

    def after(self, ran_s: float) -> float:
        pause = self._first_s if ran_s >= HEALTHY_S else self._next_s
        self._next_s = min(2 * pause, LONGEST_PAUSE_S)
        return pause


@dataclass
class Run:
    """A program and the process that runs it, if one does."""

    program: Program
    backoff: Backoff
    due: float | None = 0.0
    """when to start it; none while it runs, and once it has ended for good"""
    process: subprocess.Popen[bytes] | None = None
    pidfd: int = -1
    started: float = 0.0
    unfinished: bytes = field(default=b"", repr=False)

    @property
    def goes_on(self) -> bool:
        return self.process is not None or self.due is not None


class Supervisor:
    """Runs programs until each has ended in order, or a signal ends them all.

    One SIGTERM or Ctrl-C asks them to end and waits for as long as they take; a second one kills them.
    """

    def __init__(self, programs: Sequence[Program], say: Say, *, first_pause_s: float = FIRST_PAUSE_S) -> None:
        self._runs = [Run(program, Backoff(first_pause_s)) for program in programs]
        self._width = max(len(program.name) for program in programs)
        self._say = say
        self._stops = 0
        self._selector = selectors.DefaultSelector()
        self._doorbell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def run(self) -> bool:
        """Whether all ended by themselves, or in order; False when they were killed."""
        self._selector.register(self._doorbell, selectors.EVENT_READ, self._hear)
        try:
            with heeding(lambda *_: self.stop()):
                while any(run.goes_on for run in self._runs):
                    self._turn()
        finally:
            self._kill()
            for run in self._runs:
                if run.process:
                    self._bury(run)
            self._selector.close()
            os.close(self._doorbell)
        return self._stops < 2

    def stop(self) -> None:
        """Ask all to end; asked again, kill them. For signal handlers and other threads."""
        self._stops += 1
        os.eventfd_write(self._doorbell, 1)

    # --- turns -----------------------------------------------------------------------------------

    def _turn(self) -> None:
        now = time.monotonic()
        for run in self._runs:
            if run.due is not None and run.due <= now:
                self._start(run)
        dues = [run.due for run in self._runs if run.due is not None]
        for key, _ in self._selector.select(max(0.0, min(dues) - time.monotonic()) if dues else None):
            if key.fd in self._selector.get_map():  # not when an event before it was its program's end
                key.data()

    def _start(self, run: Run) -> None:
        # A process group of its own: a terminal's Ctrl-C reaches this process alone, which passes it on once.
        run.process = subprocess.Popen(
            run.program.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        run.started, run.due, run.unfinished = time.monotonic(), None, b""
        run.pidfd = os.pidfd_open(run.process.pid)
        os.set_blocking(_pipe(run), False)
        self._selector.register(run.pidfd, selectors.EVENT_READ, lambda: self._ended(run))
        self._selector.register(_pipe(run), selectors.EVENT_READ, lambda: self._pass_on(run))
        self._tell(run, f"started, process {run.process.pid}")

    def _ended(self, run: Run) -> None:
        while self._pass_on(run):
            pass
        if run.unfinished:
            self._tell(run, run.unfinished.decode(errors="replace"))
        self._go_on(run, self._bury(run), time.monotonic() - run.started)

    def _bury(self, run: Run) -> int:
        """Let go of a process that ends or has ended. Returns its exit code."""
        assert run.process and run.process.stdout
        code = run.process.wait()
        self._forget(_pipe(run))
        self._forget(run.pidfd)
        run.process.stdout.close()
        os.close(run.pidfd)
        run.process = None
        return code

    def _go_on(self, run: Run, code: int, ran_s: float) -> None:
        """Start it again after a crash. Ended in order, as a drained worker does, it stays ended."""
        if code == 0 or self._stops:
            self._tell(run, f"ended, {_reason(code)}")
            return
        pause = run.backoff.after(ran_s)
        run.due = time.monotonic() + pause
        self._tell(run, f"ended, {_reason(code)}; it starts again in {pause:g} s")

    # --- what they say ---------------------------------------------------------------------------

    def _pass_on(self, run: Run) -> bool:
        """Say the lines that have come, under the program's name. False when nothing is left for now."""
        try:
            read = os.read(_pipe(run), _READ)
        except BlockingIOError:
            return False
        if not read:
            self._forget(_pipe(run))
            return False
        *lines, run.unfinished = (run.unfinished + read).split(b"\n")
        if len(run.unfinished) > _LONGEST_LINE:
            lines, run.unfinished = [*lines, run.unfinished], b""
        for line in lines:
            self._tell(run, line.decode(errors="replace"))
        return True

    def _tell(self, run: Run, line: str) -> None:
        self._say(f"{run.program.name:{self._width}} | {line}")

    def _forget(self, source: int) -> None:
        if source in self._selector.get_map():
            self._selector.unregister(source)

    # --- the end ---------------------------------------------------------------------------------

    def _hear(self) -> None:
        os.eventfd_read(self._doorbell)
        for run in self._runs:
            run.due = None
        if self._stops > 1:
            self._kill()
            return
        for run in self._runs:
            if run.process:
                run.process.terminate()

    def _kill(self) -> None:
        for run in self._runs:
            if run.process and run.process.poll() is None:
                os.killpg(run.process.pid, signal.SIGKILL)


def _pipe(run: Run) -> int:
    assert run.process and run.process.stdout
    return run.process.stdout.fileno()


def _reason(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    return f"killed by {signal.Signals(-code).name}"
