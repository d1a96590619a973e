"""What several questions about one picture cost, family by family, through a real engine process.

    python -m tests.benchmarks.bench_questions [--pictures N] [--tokens N] [FAMILY]...

Costs are CPU seconds of the engine process on one core, so what else the machine does hardly matters. The models are
generated; in their sizes encoding a picture is most of the cost of a question, as it is with real ones.

    vision   how much of a question's time is its picture's encoding, as answers tell (Qwen2-VL's merger is not in it)
    apart    4 questions about each picture, each encoding it for itself, divided by 1 question about each
    together the same 4 questions, which the engine may answer in waves, divided by 1
    next     the second question about each picture after the first has ended, divided by the first;
             with prefix caching and without
    lone     seconds a single question takes alone, seconds when it comes among waves, and seconds these take in all
"""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import click
import numpy as np

from pipeline.prompts import Sampling
from tests.engine_child import EngineChild
from tests.models import FAMILIES, Size, make
from workers.engine.core import Ending
from workers.engine.requests import Completion, EngineConfig, Frame, Request

QUESTIONS = ("What is it?", "Which colour is the thing on the left?", "Count the things.", "Is it day or night?")
SIZE = Size(
    hidden=256,
    layers=6,
    ffn=768,
    vision_width=256,
    vision_layers=8,
    vision_heads=4,
    vision_ffn=1024,
    grid=16,
    storage="i4",
)
WIDTH, HEIGHT = 448, 336
RUNNING = 32


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a number of questions took."""

    cpu: float
    wall: float
    endings: Sequence[Ending]

    @property
    def vision(self) -> float:
        """The share of encoding in the answers' times, where they ran one at a time."""
        told = [ending for ending in self.endings if isinstance(ending, Completion)]
        return mean(ending.vision_s / ending.total_s for ending in told)


class Asker:
    """Asks one engine about pictures it has never seen."""

    def __init__(self, child: EngineChild, tokens: int) -> None:
        self._child, self._sampling = child, Sampling(max_tokens=tokens)
        self._seeds = itertools.count()

    def picture(self) -> np.ndarray[Any, Any]:
        return np.random.default_rng(next(self._seeds)).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)

    @contextmanager
    def frames(self, count: int, copies: int = 1) -> Iterator[list[list[Frame]]]:
        """So many pictures, each so many times in memory. What lies there twice is two pictures to the engine."""
        frames = [[self._child.picture(picture) for _ in range(copies)] for picture in map(self._new, range(count))]
        yield frames
        for frame in itertools.chain(*frames):
            self._child.free(frame)

    def _new(self, _: int) -> np.ndarray[Any, Any]:
        return self.picture()

    def question(self, text: str, frame: Frame) -> Request:
        return self._child.request(text, frame, sampling=self._sampling)

    def cost(self, requests: Sequence[Request]) -> Cost:
        cpu, begun = self._child.cpu_s, time.monotonic()
        endings = self._child.collect(self._child.ask(*requests))
        assert all(isinstance(ending, Completion) for ending in endings), endings
        return Cost(cpu=self._child.cpu_s - cpu, wall=time.monotonic() - begun, endings=endings)

    def first(self, pictures: int) -> Cost:
        with self.frames(pictures) as frames:
            return self.cost([self.question(QUESTIONS[0], frame) for (frame,) in frames])

    def apart(self, pictures: int) -> Cost:
        with self.frames(pictures, copies=len(QUESTIONS)) as frames:
            return self.cost(
                [self.question(*pair) for copies in frames for pair in zip(QUESTIONS, copies, strict=True)]
            )

    def together(self, pictures: int) -> Cost:
        with self.frames(pictures) as frames:
            return self.cost([self.question(text, frame) for (frame,) in frames for text in QUESTIONS])

    def next(self, pictures: int) -> float:
        with self.frames(pictures) as frames:
            first, second = (self.cost([self.question(text, frame) for (frame,) in frames]) for text in QUESTIONS[:2])
        return second.cpu / first.cpu

    def lone(self, pictures: int) -> tuple[float, float, float]:
        """Alone, among waves, and all waves: seconds by the clock."""
        with self.frames(1) as ((alone,),), self.frames(1) as ((late,),), self.frames(pictures) as frames:
            quiet = self.cost([self.question(QUESTIONS[0], alone)]).wall
            begun = time.monotonic()
            wave = self._child.ask(*(self.question(text, frame) for (frame,) in frames for text in QUESTIONS))
            time.sleep(quiet)
            waited = self.cost([self.question(QUESTIONS[0], late)]).wall
            self._child.collect(wave)
            return quiet, waited, time.monotonic() - begun


def measure(family: str, model: Path, pictures: int, tokens: int) -> str:
    with engine(model, caching=True) as child:
        asker = Asker(child, tokens)
        asker.together(2)
        vision = mean(asker.first(1).vision for _ in range(3))
        one, apart, together = asker.first(pictures), asker.apart(pictures), asker.together(pictures)
        cached = asker.next(pictures)
        lone = asker.lone(pictures)
    with engine(model, caching=False) as child:
        asker = Asker(child, tokens)
        asker.first(2)
        plain = asker.next(pictures)
    return (
        f"{family:14}{vision:7.0%}{one.cpu / pictures:10.3f} s{apart.cpu / one.cpu:8.2f}{together.cpu / one.cpu:10.2f}"
        f"{cached:9.2f}{plain:7.2f}   {lone[0]:6.2f} {lone[1]:6.2f} {lone[2]:6.2f}"
    )


@contextmanager
def engine(model: Path, *, caching: bool) -> Iterator[EngineChild]:
    core = max(os.sched_getaffinity(0))
    config = EngineConfig(model=str(model), max_num_seqs=RUNNING, enable_prefix_caching=caching, cores=(core,))
    with EngineChild(config, slots=256) as child:
        child.ready()
        yield child


@click.command()
@click.argument("families", nargs=-1, type=click.Choice(FAMILIES))
@click.option("--pictures", type=int, default=8, show_default=True)
@click.option("--tokens", type=int, default=16, show_default=True, help="Tokens of an answer.")
def main(families: tuple[str, ...], pictures: int, tokens: int) -> None:
    click.echo(f"{pictures} pictures, {tokens} tokens an answer; 4 questions a picture against 1")
    click.echo("family         vision   one costs   apart  together   next: with, without   lone: alone, in waves, all")
    with tempfile.TemporaryDirectory() as room:
        for family in families or FAMILIES:
            model = make(family, Path(room) / family, size=SIZE, ending=None)
            click.echo(measure(family, model, pictures, tokens))


if __name__ == "__main__":
    main()
