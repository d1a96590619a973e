"""Jobs a second through everything but a model: claim, decode, the engine process (fake, at no cost), store.

python -m tests.benchmarks.bench_feeder [--pictures N] [--questions N] [--running N]
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

import click

from pipeline import database
from pipeline.store import Store
from tests.house import House, draw_many


@click.command()
@click.option("--pictures", type=int, default=2_000, show_default=True)
@click.option("--questions", type=int, default=10, show_default=True, help="Questions about each picture.")
@click.option("--running", type=int, default=128, show_default=True, help="max_num_seqs of the fake engine.")
def main(pictures: int, questions: int, running: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        url = f"sqlite:///{room}/pixmill.db"
        database.prepare(url)
        house = House(Store(database.connect(url)), max_num_seqs=running)
        paths = draw_many(room / "pictures", pictures)
        begun, cpu = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_utime
        outcome = house.run(paths, [f"Question {number}?" for number in range(questions)])
        seconds = time.monotonic() - begun - outcome.load_s
        assert outcome.counts.done == pictures * questions
        used = resource.getrusage(resource.RUSAGE_SELF).ru_utime - cpu
        jobs = pictures * questions
        click.echo(
            f"fake engine: {jobs} jobs, {questions} a picture: {jobs / seconds:,.0f} jobs/s, submission included; "
            f"{used / jobs * 1e3:.2f} ms of CPU a job in the worker's own process"
        )


if __name__ == "__main__":
    main()
