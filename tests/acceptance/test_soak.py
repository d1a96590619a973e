"""Long runs at full size, for `make soak`."""

from __future__ import annotations

import json
import random
import subprocess
import time
from pathlib import Path

import pytest

from tests.house import draw_many
from tests.program import Program

pytestmark = pytest.mark.soak


def resident(pid: int) -> int:
    """Kilobytes of memory that a process really holds."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def children(pid: int) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(pid)], stdout=subprocess.PIPE, text=True, check=False)
    return [int(line) for line in listed.stdout.split()]


def answered(program: Program) -> int:
    return int(program("status", "--json").json["answers"])


def test_memory_is_flat_over_twenty_thousand_answers(program: Program) -> None:
    draw_many(program.folder / "in", 20_000)
    process = program.start("run", "in", "--max-tokens", "8", "--json", "--quiet")
    seen: list[list[int]] = []
    while process.poll() is None:
        if answered(program) >= 1_000 * (len(seen) + 1):
            seen.append([resident(pid) for pid in (process.pid, *children(process.pid))])
        time.sleep(0.5)
    out, _ = process.communicate()
    assert json.loads(out)["done"] == 20_000
    early, late = seen[5], seen[-2]
    for before, after in zip(early, late, strict=True):
        assert after < 1.1 * before + 20_000, seen


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
