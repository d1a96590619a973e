"""The installed program, run as a person runs it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("pixmill")


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    listed = subprocess.run(["pgrep", "-P", str(pid)], stdout=subprocess.PIPE, text=True, check=False)
    return [int(line) for line in listed.stdout.split()]


@dataclass(frozen=True)
class Ended:
    """How one call of the program ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Program:
    """The program with a home of its own."""

    home: Path
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()

    def start(self, *args: str | os.PathLike[str], **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.prefix, PROGRAM, *args],
            cwd=self.folder,
            env={**os.environ, "PIXMILL_HOME": str(self.home), **self.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
            **options,
        )

    def wait_for_answers(self, process: subprocess.Popen[str], count: int) -> None:
        """Wait until the database holds so many answers; the process must be at work still."""
        self.wait_for(process, "answers", count)

    def wait_for(self, process: subprocess.Popen[str], table: str, count: int) -> None:
        """Wait until the database's table holds so many rows."""
        while process.poll() is None:
            try:
                with sqlite3.connect(f"file:{self.home}/pixmill.db?mode=ro", uri=True) as connection:
                    if connection.execute(f"select count(*) from {table}").fetchone()[0] >= count:
                        return
            except sqlite3.OperationalError:  # no database yet, or no tables
                pass
            time.sleep(0.01)
        raise AssertionError("it ended before")

    def __call__(self, *args: str | os.PathLike[str], input: str = "", code: int | None = 0) -> Ended:
        process = self.start(*args)
        out, err = process.communicate(input)
        ended = Ended(process.returncode, out, err)
        assert code is None or ended.code == code, f"{args} ended with {ended.code}:\n{err}"
        assert "Traceback" not in err, err
        return ended
