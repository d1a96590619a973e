"""A worker like that of `pixmill worker run`, with the fake engine: python -m tests.fake_worker '{"script": {}}'."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import replace

from pipeline import logs
from pipeline.context import open_store
from pipeline.errors import PixmillError
from pipeline.jobs import Lane
from pipeline.settings import read_settings
from tests.house import House
from workers.engine.requests import EngineConfig
from workers.patience import while_starting
from workers.serving import serve
from workers.worker import WorkerConfig


def main(
    *,
    script: dict[str, object],
    alias: str = "fake",
    max_num_seqs: int = 4,
    grace_s: float = 120.0,
    lanes: tuple[str, ...] = tuple(Lane),
    **config: object,
) -> None:
    settings = read_settings()
    logs.to_stderr()
    patiently = while_starting()
    with ExitStack() as stack:
        store = patiently(lambda: stack.enter_context(open_store(settings)))
        house = House(store, script=script, max_num_seqs=max_num_seqs, alias=alias)
        engine = EngineConfig(engine="fake", model="", max_num_seqs=max_num_seqs, script=script)
        made = WorkerConfig(engine=engine, limits=house.limits, media_root=settings.media_root)
        serve(
            settings,
            store,
            patiently(house.model),
            replace(made, **config),  # type: ignore[arg-type]
            grace_s=grace_s,
            lanes=[Lane(lane) for lane in lanes],
        )


if __name__ == "__main__":
    try:
        main(**json.loads(sys.argv[1]))
    except PixmillError as error:
        sys.exit(f"Error: {error}")
