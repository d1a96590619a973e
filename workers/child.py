"""A child process that talks over a `Wire`: started, watched, and started again when it dies.

Plain `subprocess` and a socket pair: `multiprocessing` inside a Celery worker is trouble. A child ends
when its end of the socket closes.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from workers.wire import Closed, Message, Wire

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 30.0
OURS = "PIXMILL_"
"""Settings reach a child in its configuration. What it opens is hostile, and addresses of servers hold passwords."""
_TAIL = 4096
_MOST_NOTES = 1 << 20
"""Bytes kept of what a child prints: a library that complains about each request would fill the memory."""


@dataclass(frozen=True, slots=True)
class Death:
    """Why a child is gone, in words."""

    reason: str


class Refused(Exception):
    """A child has no result for one thing it was asked, and says why with a code of `pipeline.errors`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class StartsExhausted(Exception):
    """The child refused to start, or died too often without ever being ready; the text says why."""

    def __init__(self, why: str, *, refused: bool) -> None:
        super().__init__(why)
        self.refused = refused


class Child:
    """One child process. Its owner calls `tend` and `receive` in turn and never waits for it.

    The first message of each start is the configuration; the child answers `ready`, or `refused` with a
    sentence when starting again cannot help.
    """

    def __init__(
        self,
        module: str,
        config: Mapping[str, Any],
        *,
        shared: int,
        starts: int = 4,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._module, self._config, self._shared = module, config, shared
        self._starts_allowed, self._now = starts, now
        self._failed_starts = 0
        self._due = now()
        self._process: subprocess.Popen[bytes] | None = None
        self._wire: Wire | None = None
        self._notes = -1
        self._why, self._refused = "it did not start", False
        self.ready: dict[str, Any] | None = None
        self.started = self.heard = now()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def wire(self) -> Wire | None:
        return self._wire

    @property
    def unread(self) -> bool:
        """Whether it said something that `receive` has not fetched: then it is not the child that is late."""
        return self._wire is not None and self._wire.wait(0)

    @property
    def due_in(self) -> float | None:
        """Seconds until `tend` has something to do, or none while the child lives."""
        return None if self._wire else max(0.0, self._due - self._now())

    def tend(self) -> None:
        """Start the child when it is not there and its pause has passed."""
        if self._wire:
            self._trim_notes()
            return
        if self._failed_starts >= self._starts_allowed:
            raise StartsExhausted(self._why, refused=self._refused)
        if self._now() < self._due:
            return
        try:
            self._start()
        except OSError as error:  # no more processes, memory or descriptors: perhaps there are later
            self._why = f"it could not be started ({error.strerror})"
            self._pause()

    def post(self, kind: str, body: Any) -> None:
        """Send a message. A child that just died is noticed by the next `receive`."""
        if self._wire:
            with suppress(Closed):  # receive() reports the death, with its reason
                self._wire.post(kind, body)

    def receive(self) -> list[Message | Death]:
        """The messages that have arrived; a death comes last."""
        if not self._wire:
            return []
        try:
            with suppress(Closed):  # what it said before it went comes first
                self._wire.flush()
            messages = self._wire.receive()
        except Closed:
            return [self._bury()]
        if messages:
            self.heard = self._now()
        return [message for message in messages if not self._greeting(message)]

    def kill(self, reason: str) -> Death:
        """End the child at once; it is started again like after any death."""
        assert self._process
        self._process.kill()
        return self._bury(reason)

    def close(self, patience: float = 1.0) -> None:
        """Close the socket, which ends the child, and make sure that it has ended."""
        self._due = float("inf")
        if not self._wire or not self._process:
            return
        self._wire.close()
        self._wire = None
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._notes)

    def _start(self) -> None:
        with ExitStack() as undo:
            ours, theirs = socket.socketpair()
            undo.callback(ours.close)
            notes = os.memfd_create("stderr")
            undo.callback(os.close, notes)
            with theirs:
                self._process = self._spawn(theirs.fileno(), notes)
            undo.pop_all()
        self._wire, self._notes = Wire(ours), notes
        self.started = self.heard = self._now()
        self.post("config", dict(self._config))

    def _spawn(self, socket_fd: int, notes: int) -> subprocess.Popen[bytes]:
        fcntl.fcntl(notes, fcntl.F_SETFL, os.O_APPEND)  # so that they can be cut while the child writes
        # Without -P, a folder `workers` or a file `json.py` in the user's current folder would be imported.
        command = [sys.executable, "-P", "-m", self._module, str(socket_fd), str(self._shared)]
        return subprocess.Popen(
            command,
            pass_fds=(socket_fd, self._shared),
            env={name: value for name, value in os.environ.items() if not name.startswith(OURS)},
            stdin=subprocess.DEVNULL,
            stdout=notes,
            stderr=notes,
        )

    def _greeting(self, message: Message) -> bool:
        kind, body = message
        if kind == "ready":
            self.ready = body
            self._failed_starts = 0
        elif kind == "refused":
            self._why, self._refused = body, True
            self._failed_starts = self._starts_allowed
        return kind in ("ready", "refused")

    def _bury(self, reason: str | None = None) -> Death:
        assert self._process and self._wire
        self._wire.close()
        self._wire = None
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:  # it closed its socket and lives on
            self._process.kill()
            code = self._process.wait()
        never_ready, self.ready = self.ready is None, None
        reason = reason or _reason(code, self._last_words())
        os.close(self._notes)
        if not self._refused:
            self._why = reason
        self._pause(failed=never_ready)
        return Death(reason)

    def _pause(self, *, failed: bool = True) -> None:
        """Wait before the next start, longer after each failed one."""
        self._failed_starts += failed
        self._due = self._now() + min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**self._failed_starts)

    def _trim_notes(self) -> None:
        if os.fstat(self._notes).st_size > _MOST_NOTES:
            os.ftruncate(self._notes, 0)

    def _last_words(self) -> str:
        size = os.fstat(self._notes).st_size
        text = os.pread(self._notes, _TAIL, max(0, size - _TAIL)).decode("utf-8", "replace")
        return text.strip()


def _reason(code: int, last_words: str) -> str:
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
    last_line = last_words.splitlines()[-1] if last_words else ""
    return f"{how}: {last_line}" if last_line else how
