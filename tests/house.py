"""A small house for tests: pictures, a store, a worker with real child processes and a fake engine."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.jobs import Item
from pipeline.locators import Picture
from pipeline.models import Model
from pipeline.prompts import Defaults, Prompt, Sampling
from pipeline.store import Store
from pipeline.store.values import Added, BuildFacts, Counts
from pipeline.submit import ask_each, submit
from workers.engine.requests import EngineConfig
from workers.limits import DecodeLimits
from workers.local import LocalRun, Stop
from workers.worker import Worker, WorkerConfig

LIMITS = DecodeLimits(max_bytes=10_000_000, max_pixels=1_000_000, seconds=20.0, memory=1 << 30)


def colour(number: int) -> tuple[int, int, int]:
    return (number % 256, number // 256 % 256, 77)


def draw(path: Path, number: int, size: tuple[int, int] = (4, 3)) -> Path:
    """A picture that is all one colour, which tells its number. BMP, written by hand: thousands are quick."""
    width, height = size
    red, green, blue = colour(number)
    row = bytes((blue, green, red)) * width
    pixels = (row + b"\0" * (-len(row) % 4)) * height
    header = struct.pack("<2sIHHI", b"BM", 54 + len(pixels), 0, 0, 54)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(pixels), 2835, 2835, 0, 0)
    path.write_bytes(header + info + pixels)
    return path


def draw_many(folder: Path, count: int) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    return [draw(folder / f"{number:05}.bmp", number) for number in range(count)]


def saying(question: str, number: int, size: tuple[int, int] = (4, 3)) -> str:
    """What the fake engine answers to a question about picture `number`."""
    return f"{question}|{size[0]}x{size[1]}|{','.join(map(str, colour(number)))}"


@dataclass
class House:
    """A store with one fake model, and workers on demand."""

    store: Store
    script: Mapping[str, Any] = field(default_factory=dict)
    max_num_seqs: int = 4
    limits: DecodeLimits = LIMITS
    stall_s: float = 60.0
    alias: str = "fake"

    def model(self, alias: str | None = None) -> Model:
        alias = alias or self.alias
        digest = alias.encode().ljust(32, b"\0")
        facts = BuildFacts(digest=digest, family="fake", precision="none", path=f"/models/{alias}", stamp="1")
        build = self.store.register_build(facts)
        self.store.point_alias(alias, build)
        return Model(
            alias=alias, build=build, digest=digest, path=Path("/models") / alias, family="fake", defaults=Defaults()
        )

    def worker(self, **changes: Any) -> Worker:
        engine = EngineConfig(engine="fake", model="", max_num_seqs=self.max_num_seqs, script=self.script)
        config = WorkerConfig(engine=engine, limits=self.limits, stall_s=self.stall_s)
        return Worker(self.store, self.model(), replace(config, **changes))

    def run(
        self,
        pictures: Iterable[Path | Picture],
        questions: Sequence[str] = ("What?",),
        *,
        worker: Worker | None = None,
        name: str | None = None,
        force: bool = False,
        stop: Stop | None = None,
        tell: Callable[[Counts], None] = lambda counts: None,
        **sampling: Any,
    ) -> Outcome:
        """What `pixmill run` does, without its command line."""
        named = [place if isinstance(place, Picture) else Picture.at(place, None) for place in pictures]
        prompts = [Prompt.ask(question, sampling=Sampling(**sampling)) for question in questions]
        items = ask_each(named, prompts, self.alias)
        return self.run_items(items, worker=worker, name=name, force=force, stop=stop, tell=tell)

    def run_items(
        self,
        items: Iterable[Item],
        *,
        worker: Worker | None = None,
        name: str | None = None,
        force: bool = False,
        stop: Stop | None = None,
        tell: Callable[[Counts], None] = lambda counts: None,
    ) -> Outcome:
        model = self.model()
        batch = self.store.open_batch(name, origin="test", spec={})
        local = LocalRun(
            store=self.store,
            start_worker=lambda: worker or self.worker(),
            batch=batch.id,
            model=model.alias,
            stop=stop or Stop(),
            tell=tell,
        )
        counts = local.work(submit(self.store, batch.id, items, force=force))
        return Outcome(batch.id, counts, local.added, local.tally, local.figures.load_s)


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    batch: int
    counts: Counts
    added: Added
    tally: Mapping[str, int]
    load_s: float
