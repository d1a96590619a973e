"""The supervisor with real processes: small ones of our own, and `pixmill up` itself."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.program import Program as Pixmill
from workers import devices
from workers.supervisor import Backoff, Program, Supervisor

PATIENCE_S = 30.0


def script(name: str, code: str) -> Program:
    return Program(name=name, command=(sys.executable, "-c", f"import os, signal, sys, time\n{code}"))


class Watched:
    """A supervisor whose lines are kept, and which is acted on when a line comes."""

    def __init__(self, *programs: Program, on: dict[str, Callable[[], object]] | None = None) -> None:
        self.lines: list[str] = []
        self.on = on or {}
        self.supervisor = Supervisor(programs, self._say, first_pause_s=0.01)

    def run(self) -> bool:
        return self.supervisor.run()

    def _say(self, line: str) -> None:
        self.lines.append(line)
        for words, act in list(self.on.items()):
            if words in line:
                del self.on[words]
                act()

    def of(self, name: str) -> list[str]:
        """What the program itself said."""
        own = [line.partition("| ")[2] for line in self.lines if line.split()[0] == name]
        return [line for line in own if not re.match(r"started, process|ended, ", line)]


# --- back-off ------------------------------------------------------------------------------------


def test_pauses_double_up_to_a_minute() -> None:
    backoff = Backoff()
    assert [backoff.after(0) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_minute_of_health_begins_anew() -> None:
    backoff = Backoff()
    assert [backoff.after(ran_s) for ran_s in (0, 59.9, 60, 1)] == [1, 2, 1, 2]


# --- lines ---------------------------------------------------------------------------------------


def test_lines_carry_their_program_s_name() -> None:
    watched = Watched(
        script("a", "print('one'); print('two', file=sys.stderr)"),
        script("long", "sys.stdout.buffer.write(b'caf\\xff\\nno end')"),
    )
    assert watched.run()
    assert sorted(watched.of("a")) == ["one", "two"]
    assert watched.of("long") == ["caf\N{REPLACEMENT CHARACTER}", "no end"]
    assert "a    | one" in watched.lines


def test_a_line_without_end_is_passed_on_in_parts() -> None:
    watched = Watched(script("a", "print('x' * 200_000)"))
    watched.run()
    assert sum(map(len, watched.of("a"))) == 200_000


def test_what_a_grandchild_holds_open_keeps_nobody_waiting(tmp_path: Path) -> None:
    held = tmp_path / "pid"
    watched = Watched(
        script("a", f"pid = os.fork()\nif pid: open({str(held)!r}, 'w').write(str(pid))\nelse: time.sleep(1000)")
    )
    assert watched.run()
    os.kill(int(held.read_text()), signal.SIGKILL)


# --- starting again ------------------------------------------------------------------------------


def test_a_crash_is_followed_by_another_start(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = f"open({str(log)!r}, 'a').write('x'); n = os.path.getsize({str(log)!r})\n"
    code += "if n == 1: sys.exit(3)\nif n == 2: os.kill(os.getpid(), 9)\nprint('well')"
    watched = Watched(script("a", code))
    assert watched.run()
    ends = [line for line in watched.lines if "ended, " in line]
    assert ends == [
        "a | ended, exit code 3; it starts again in 0.01 s",
        "a | ended, killed by SIGKILL; it starts again in 0.02 s",
        "a | ended, exit code 0",
    ]
    assert watched.of("a") == ["well"]


# --- ending --------------------------------------------------------------------------------------

WAITS = "signal.signal(signal.SIGTERM, lambda *_: (print('asked', flush=True), sys.exit(0)))\n"
WAITS += "print('up', flush=True)\nwhile True: time.sleep(0.01)"
DEAF = "signal.signal(signal.SIGTERM, lambda *_: print('asked', flush=True))\n"
DEAF += "print('up', flush=True)\nwhile True: time.sleep(0.01)"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_asks_all_to_end(number: signal.Signals) -> None:
    ready: list[str] = []

    def one_more() -> None:
        ready.append("up")
        if len(ready) == 2:
            os.kill(os.getpid(), number)

    watched = Watched(script("a", WAITS), script("b", WAITS), on={"a | up": one_more, "b | up": one_more})
    assert watched.run()
    assert (watched.of("a"), watched.of("b")) == (["up", "asked"], ["up", "asked"])
    assert {"a | ended, exit code 0", "b | ended, exit code 0"} <= set(watched.lines)


def test_a_second_signal_does_not_wait() -> None:
    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    watched = Watched(script("a", DEAF), on={"| up": interrupt, "| asked": interrupt})
    assert not watched.run()
    assert watched.lines[-1] == "a | ended, killed by SIGKILL"


def test_what_waits_to_be_started_is_not_started_any_more() -> None:
    watched = Watched(script("a", "sys.exit(1)"))
    watched.on["starts again"] = watched.supervisor.stop
    assert watched.run()
    assert len([line for line in watched.lines if "started" in line]) == 1


def test_it_can_be_stopped_from_another_thread_while_all_is_still() -> None:
    watched = Watched(script("a", WAITS))
    stopper = threading.Thread(target=watched.supervisor.stop)
    watched.on["| up"] = stopper.start
    assert watched.run()
    stopper.join()


def test_signals_are_heeded_only_while_it_runs() -> None:
    before = signal.getsignal(signal.SIGTERM)
    Watched(script("a", "")).run()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_program_that_cannot_be_run_ends_the_others() -> None:
    watched = Watched(script("a", WAITS), Program(name="b", command=("/no/such/program",)))
    with pytest.raises(FileNotFoundError):
        watched.run()
    pid = next(int(line.rpartition(" ")[2]) for line in watched.lines if "started" in line)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


# --- the program ---------------------------------------------------------------------------------


@pytest.fixture
def pixmill(tmp_path: Path) -> Pixmill:
    (tmp_path / "here").mkdir()
    return Pixmill(tmp_path / "home", tmp_path / "here")


def test_devices_are_looked_at_in_another_process() -> None:
    assert "CPU" in devices.look()


def test_a_device_that_is_not_there_ends_it_at_once(pixmill: Pixmill) -> None:
    (pixmill.folder / "pixmill.toml").write_text('[[worker]]\n[[worker]]\ndevice = "XPU"')
    said = pixmill("up", code=1).err
    assert "The worker number 2 in" in said and "There is no device 'XPU' here. Devices: CPU" in said
    assert "started" not in said


def test_a_dry_run_says_what_would_be_run(pixmill: Pixmill) -> None:
    (pixmill.folder / "pixmill.toml").write_text('[[worker]]\nname = "one"\nmodel = "demo"\nlanes = "high"')
    assert pixmill("up", "--dry-run").out == "one: pixmill worker run --model=demo --lanes=high\n"


def test_workers_are_real_ones_and_end_with_their_supervisor(pixmill: Pixmill) -> None:
    # A model that is not there: the worker says so, ends, and is started again.
    (pixmill.folder / "pixmill.toml").write_text('[[worker]]\nname = "one"\nmodel = "nowhere"')
    process = pixmill.start("up")
    assert process.stderr
    for line in process.stderr:
        if "starts again in 1 s" in line:
            break
        assert line.startswith("one | ")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    process.communicate()


def test_a_killed_supervisor_s_programs_are_told_to_end(tmp_path: Path) -> None:
    told = tmp_path / "told"
    child = "import signal, sys, time; from pathlib import Path; from workers.process import end_with_parent;"
    child += f"signal.signal(signal.SIGTERM, lambda *_: (Path({str(told)!r}).touch(), sys.exit()));"
    child += "end_with_parent(signal.SIGTERM); print('up', flush=True); time.sleep(1000)"
    parent = "import sys; from workers.supervisor import Program, Supervisor;"
    parent += f"program = Program(name='a', command=(sys.executable, '-c', {child!r}));"
    parent += "Supervisor([program], lambda line: print(line, flush=True)).run()"
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert any("a | up" in line for line in process.stdout)
    process.kill()
    process.wait(PATIENCE_S)
    until = time.monotonic() + PATIENCE_S
    while not told.exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    process.communicate()
