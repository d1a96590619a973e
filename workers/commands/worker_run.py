"""`pixmill worker run`: a Celery worker with one model on one device."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import click

from pipeline import options
from pipeline.context import open_store
from pipeline.display import note
from pipeline.jobs import Lane
from pipeline.models import use
from pipeline.options import EngineOptions, Reach
from pipeline.settings import read_settings
from workers import cores

GRACE_S = 120.0


def _cores(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    return None if value is None else cores.parse(value)


@click.command()
@options.model
@options.device
@options.engine
@click.option("--cores", "pinned", metavar="LIST", callback=_cores, help="Cores for the engine, such as 0-7; all.")
@click.option("--kv-cache-precision", metavar="TYPE", help="Short for --device-config KV_CACHE_PRECISION=TYPE.")
@click.option(
    "--grace",
    type=options.Seconds(min=0),
    default=GRACE_S,
    show_default=True,
    metavar="SECONDS",
    help="How long a stop lets the engine finish what it has begun.",
)
@options.lanes
@options.reach
def run(
    model: str | None,
    device: str | None,
    engine: EngineOptions,
    pinned: tuple[int, ...] | None,
    kv_cache_precision: str | None,
    grace: float,
    lanes: tuple[Lane, ...],
    reach: Reach,
) -> None:
    """Answer what was submitted for a model, on one device.

    It runs until it is stopped: Ctrl-C or SIGTERM lets the engine finish what it has begun, a second one does not
    wait. What is left waits for other workers.
    """
    from pipeline import logs
    from workers.patience import while_starting
    from workers.serving import serve
    from workers.verification import ensure
    from workers.worker import WorkerConfig

    if kv_cache_precision:
        more = {**engine.device_config, "KV_CACHE_PRECISION": kv_cache_precision}
        engine = replace(engine, device_config=more)
    settings = read_settings({"model": model, "device": device, **reach.flags})
    logs.to_stderr()
    patiently = while_starting()
    with ExitStack() as stack:
        store = patiently(lambda: stack.enter_context(open_store(settings)))
        found = patiently(use, store, settings.model, settings.home, tell=note)
        config = WorkerConfig.of(settings, found.path, engine)
        config = replace(config, engine=replace(config.engine, cores=pinned))
        if not engine.unverified:
            patiently(ensure, store, found, config, tell=note)
        serve(settings, store, found, config, grace_s=grace, lanes=lanes)
