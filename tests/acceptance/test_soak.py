"""Long runs at full size, for `make soak`."""

from __future__ import annotations

import json
import logging
import random
import signal
import subprocess
from pathlib import Path

import pytest

from tests.house import draw_many
from tests.program import Program, children

log = logging.getLogger(__name__)

pytestmark = pytest.mark.soak

ANSWERS = 48_000
BOUNDED = ("--cache-size", "1", "--unverified")
"""The tiny model's engine climbs by 35 to 40 MB in a thousand answers until all of this GiB has been touched, after
some 32,000 of them, and holds 1.35 GB then."""


def resident(pid: int) -> int:
    """Kilobytes of memory that a process really holds."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def assert_memory_is_flat(program: Program, process: subprocess.Popen[str], count: int) -> None:
    """What each process of a program holds, printed every thousand answers, does not grow once it has settled."""
    seen: list[list[int]] = []
    while len(seen) < count // 1_000:
        program.wait_for_answers(process, 1_000 * (len(seen) + 1))
        pids = sorted(children(process.pid))
        seen.append([resident(pid) for pid in (process.pid, *pids)])
        log.warning("after %d answers, MB: %s", 1_000 * len(seen), [kilobytes // 1_000 for kilobytes in seen[-1]])
    early, late = seen[len(seen) * 3 // 4], seen[-1]
    for before, after in zip(early, late, strict=True):
        assert after < 1.1 * before + 20_000, seen


def test_memory_of_a_run_is_flat(program: Program) -> None:
    draw_many(program.folder / "in", ANSWERS)
    process = program.start("run", "in", *BOUNDED, "--max-tokens", "8", "--json", "--quiet")
    assert_memory_is_flat(program, process, ANSWERS)
    out, _ = process.communicate()
    assert json.loads(out)["done"] == ANSWERS


def test_memory_of_a_worker_is_flat(online: Program) -> None:
    draw_many(online.folder / "in", ANSWERS)
    online("submit", "in", "--max-tokens", "8")
    process = online.start("worker", "run", *BOUNDED)
    assert_memory_is_flat(online, process, ANSWERS)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 0


def test_killed_fifty_times(program: Program) -> None:
    draw_many(program.folder / "in", 10_000)
    command = ("run", "in", "--max-tokens", "20", "--json")
    rng = random.Random(2)
    for _ in range(50):
        process = program.start(*command)
        try:
            process.wait(1.0 + 2 * rng.random())
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
    assert program(*command).json["done"] == 10_000
    rows = program("answers", "--limit", "0", "--json", "--history").lines
    assert len(rows) == len({row["job"] for row in rows}) == 10_000
