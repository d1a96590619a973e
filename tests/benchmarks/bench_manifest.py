"""A manifest of a million rows, submitted, and submitted again when all of it is known.

python -m tests.benchmarks.bench_manifest [--rows N] [--format csv|jsonl|parquet] [--url URL]

The installed `pixmill submit` is what is measured, from its start to its end, with the most memory that it held:
each row has an id, a question and columns that pass through, one in a thousand is broken, and each names a file of
its own. No broker is there, since sending tickets is another matter.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("pixmill")
NAMES = ("id", "file_name", "question", "category", "price", "comment")
BROKEN_EACH = 1000
LOOK_EVERY_S = 0.2
FOLDER = 1000
"""pictures in a folder; a million names are a thousand links to it, for a million files would take minutes to make"""


def pictures(folder: Path, rows: int) -> None:
    (folder / "pictures").mkdir()
    for number in range(FOLDER):
        (folder / "pictures" / f"{number:04}.jpg").write_bytes(b"")
    for number in range(-(-rows // FOLDER)):
        (folder / f"shelf-{number:04}").symlink_to("pictures")


def cells(rows: int) -> Iterator[tuple[Any, ...]]:
    for number in range(rows):
        if number % BROKEN_EACH == 7:
            yield (number, "")
            continue
        name = f"shelf-{number // FOLDER:04}/{number % FOLDER:04}.jpg"
        question = f"What is in part {number % 200} of this picture?"
        yield number, name, question, f"category {number % 17}", number % 9999 / 100, "as it was delivered"


def write_csv(path: Path, rows: int) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows((NAMES, *cells(rows)))


def write_jsonl(path: Path, rows: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(dict(zip(NAMES, row, strict=False))) + "\n" for row in cells(rows))


def write_parquet(path: Path, rows: int) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    full = [(*row, *[None] * (len(NAMES) - len(row))) for row in cells(rows)]
    columns = dict(zip(NAMES, zip(*full, strict=True), strict=True))
    parquet.write_table(pa.table({name: pa.array(values) for name, values in columns.items()}), path)


WRITERS = {"csv": write_csv, "jsonl": write_jsonl, "parquet": write_parquet}


def submit(manifest: Path, environment: dict[str, str]) -> tuple[dict[str, Any], float, float]:
    """What became of the rows, how long that took, and the most memory of all its processes, in megabytes."""
    begun = time.perf_counter()
    command = [PROGRAM, "submit", "--manifest", manifest, "-m", "demo", "--name", "million", "--json"]
    process = subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    most = 0.0
    while process.poll() is None:
        most = max(most, resident(process.pid))
        time.sleep(LOOK_EVERY_S)
    assert process.stdout and process.returncode == 0
    return json.loads(process.stdout.read()), time.perf_counter() - begun, most


def resident(pid: int) -> float:
    """Megabytes of a process and of those it started; what they share counts once (the kernel's Pss)."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has just ended
        return 0.0
    share = sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return share / 1024 + sum(resident(int(child)) for child in children)


def say(what: str, rows: int, seconds: float, memory: float, added: dict[str, Any]) -> None:
    became = ", ".join(f"{added[name]:,} {name}" for name in ("new", "linked_pending", "invalid") if added[name])
    print(
        f"{what:<12} {rows / seconds:10,.0f} rows/s   {seconds:6.1f} s   {memory:4.0f} MiB at most   {became}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--format", choices=WRITERS, default="csv")
    parser.add_argument("--url", help="a database that may be filled; a temporary SQLite file without it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures(folder, options.rows)
        manifest = folder / f"rows.{options.format}"
        WRITERS[options.format](manifest, options.rows)
        environment = {"PIXMILL_HOME": str(folder / "home"), "PIXMILL_BROKER_URL": "redis://localhost:1/0"}
        if options.url:
            environment["PIXMILL_DATABASE_URL"] = options.url
        times = []
        for what in ("all new", "all known"):
            added, seconds, memory = submit(manifest, environment)
            times.append(seconds)
            say(what, options.rows, seconds, memory, added)
        print(f"known rows go {times[0] / times[1]:.2f} times as fast as new ones")


if __name__ == "__main__":
    main()
