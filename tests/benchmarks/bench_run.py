"""`pixmill run` against a bare continuous-batching loop over the same pictures, questions and settings.

    python -m tests.benchmarks.bench_run [tiny|large|both] [--pictures N] [--rounds N]

Prints throughput and CPU seconds of the one divided by those of the other, taken in turn in one run.
Throughput leaves out the loading of the model, CPU seconds count everything.
"""

from __future__ import annotations

import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click

from tests.models import make, make_large
from tests.pictures import scene

QUESTIONS = ["What is in this picture?", "Which colours are there?", "How many things are there?", "Is it day?"]


@dataclass(frozen=True)
class Measured:
    """One program's figures for one pass over all requests."""

    per_second: float
    cpu_s: float
    running: float


def measured(command: list[str], environment: dict[str, str], total: int) -> Measured:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(command, env=os.environ | environment, check=True, stdout=subprocess.PIPE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    outcome = json.loads(ended.stdout)
    answered = outcome.get("answered", outcome.get("answered_now"))
    assert answered == total, outcome
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(total / (outcome["seconds"] - outcome.get("load_seconds", 0)), cpu, outcome["mean_running"])


def compare(
    name: str,
    model: Path,
    folder: Path,
    questions: list[str],
    *,
    max_tokens: int,
    running: int,
    rounds: int,
    room: Path,
) -> None:
    total = len(list(folder.iterdir())) * len(questions)
    request = {
        "model": str(model),
        "folder": str(folder),
        "questions": questions,
        "max_tokens": max_tokens,
        "running": running,
    }
    bare_command = [sys.executable, "-m", "tests.benchmarks.bare", json.dumps(request)]
    asked = [part for question in questions for part in ("-q", question)]
    options = ["--max-tokens", str(max_tokens), "--max-num-seqs", str(running), "--unverified", "--json", "--quiet"]
    program = str(Path(sys.executable).with_name("pixmill"))
    run_command = [program, "run", str(folder), "-m", str(model), *asked, *options]
    bares, runs = [], []
    for number in range(rounds):
        bares.append(measured(bare_command, {}, total))
        runs.append(measured(run_command, {"PIXMILL_HOME": str(room / f"{name}-{len(questions)}-{number}")}, total))
    speed = statistics.median(run.per_second / bare.per_second for run, bare in zip(runs, bares, strict=True))
    cpu = statistics.median(run.cpu_s / bare.cpu_s for run, bare in zip(runs, bares, strict=True))
    click.echo(
        f"{name}, {len(questions)} a picture: {total} requests, {rounds} rounds: "
        f"throughput {speed:.2f} of the bare loop's, CPU {cpu:.2f} times; "
        f"running {statistics.mean(run.running for run in runs):.1f} against "
        f"{statistics.mean(bare.running for bare in bares):.1f} of {running}; "
        f"bare {statistics.median(bare.per_second for bare in bares):.2f} answers/s"
    )


@click.command()
@click.argument("which", type=click.Choice(["tiny", "large", "both"]), default="tiny")
@click.option("--pictures", type=int, help="How many pictures; 600 for tiny, 32 for large if not given.")
@click.option("--rounds", type=int, default=3, show_default=True)
@click.option("--running", type=int, default=16, show_default=True, help="max_num_seqs of both.")
def main(which: str, pictures: int | None, rounds: int, running: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        if which in ("tiny", "both"):
            model = make("llava", room / "tiny")
            folder = draw(room / "tiny-pictures", pictures or 600)
            for count in (1, len(QUESTIONS)):
                questions = QUESTIONS[:count]
                compare("tiny", model, folder, questions, max_tokens=24, running=running, rounds=rounds, room=room)
        if which in ("large", "both"):
            model = make_large(room / "large")
            folder = draw(room / "large-pictures", pictures or 32)
            compare("large", model, folder, QUESTIONS[:1], max_tokens=48, running=running, rounds=rounds, room=room)


def draw(folder: Path, count: int) -> Path:
    """Photographs by size and format: 640x480 JPEG."""
    folder.mkdir()
    for number in range(count):
        scene(random.Random(number), number, (640, 480)).save(folder / f"{number:05}.jpg", quality=90)
    return folder


if __name__ == "__main__":
    main()
