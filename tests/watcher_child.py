"""`pixmill watch run` with the fake engine, to be killed: python -m tests.watcher_child DATABASE_URL FOLDER."""

from __future__ import annotations

import os
import sys

import workers.watching
from pipeline import database
from pipeline.models import Model
from pipeline.options import EngineOptions
from pipeline.questions import Questions
from pipeline.settings import read_settings
from pipeline.store import Store
from pipeline.watching.plan import Plan
from pipeline.watching.telling import Telling
from tests.house import House
from tests.watched import QUICK
from workers.engine.requests import EngineConfig
from workers.worker import WorkerConfig


def main(url: str, folder: str) -> int:
    store = Store(database.connect(url))
    house = House(store, script={"step_s": 0.01, "tokens": (1, 3)})

    def use(*_: object, **__: object) -> Model:
        return house.model()

    def config(*_: object) -> WorkerConfig:
        return WorkerConfig(engine=EngineConfig(engine="fake", model="", script=house.script), limits=house.limits)

    workers.watching.use = use
    workers.watching.WorkerConfig.of = config  # type: ignore[method-assign,assignment]
    order = workers.watching.Order(
        plan=Plan(folders=(folder,), **QUICK),
        questions=Questions(question=("What?",)),
        form=None,
        engine=EngineOptions(unverified=True),
        name=os.path.basename(folder),
    )
    return workers.watching.watch(read_settings(), store, order, Telling(as_json=True))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
