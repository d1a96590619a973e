"""All benchmarks, one after the other: `make bench`. Each is a program of its own, with options."""

from __future__ import annotations

import subprocess
import sys

SUITE = (
    ("bench_store",),
    ("bench_manifest",),
    ("bench_activity",),
    ("bench_search",),
    ("bench_feeder",),
    ("bench_celery",),
    ("bench_watch",),
    ("bench_run", "both"),
    ("bench_questions",),
    ("bench_compress",),
)


def main() -> None:
    for name, *options in SUITE:
        subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}", *options], check=True)


if __name__ == "__main__":
    main()
