"""A worker: the store's lease, the processes and the feeder that serve one model on one device."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline import blobs
from pipeline.models import Model, builds
from pipeline.options import EngineOptions
from pipeline.owner import Owner
from pipeline.remote.fetcher import FetchLimits
from pipeline.settings import Settings
from pipeline.store import Store
from workers.decoders import Decoders
from workers.engine.client import Engine
from workers.engine.requests import EngineConfig
from workers.feeder import Feeder
from workers.fetching import Fetching
from workers.limits import DecodeLimits
from workers.pictures import Pictures
from workers.pixels import Pixels
from workers.work import Places


@dataclass(frozen=True, kw_only=True)
class WorkerConfig:
    """How a worker runs, besides its model."""

    engine: EngineConfig
    limits: DecodeLimits
    media_root: Path | None = None
    blobs: Path | None = None
    """where pictures lie that rows brought with them"""
    fetch: FetchLimits | None = None
    """what may be fetched from elsewhere: this worker's own settings say it, not those of who submitted"""
    decoders: int = 2
    stall_s: float = 300.0
    lease_s: float = 30.0
    pixel_budget: int = 1 << 30
    """bytes of decoded pictures held at once"""

    @classmethod
    def of(cls, settings: Settings, model: Path, options: EngineOptions) -> Self:
        """What the settings and a command's options say together."""
        engine = EngineConfig(
            # NPUs have no paged attention, which continuous batching needs.
            engine="serial" if settings.device.startswith("NPU") else "batching",
            model=str(model),
            stamp=builds.stamp(model),
            device=settings.device,
            device_config=options.device_config,
            max_num_seqs=options.max_num_seqs,
            max_num_batched_tokens=options.max_num_batched_tokens,
            cache_size=options.cache_size,
            enable_prefix_caching=options.enable_prefix_caching,
        )
        return cls(
            engine=engine,
            limits=DecodeLimits.of(settings),
            media_root=settings.media_root,
            blobs=blobs.folder(settings),
            fetch=FetchLimits.of(settings),
            stall_s=settings.engine_stall_seconds,
        )


class Worker:
    """Everything between a ticket and its answers, as a context: entered it works, left it has ended."""

    def __init__(self, store: Store, model: Model, config: WorkerConfig) -> None:
        self._store = store
        self.places = Places(config.engine.max_num_seqs)
        self._pixels = Pixels(self.places.pictures, config.limits.max_pixels, config.pixel_budget)
        self.engine = Engine(config.engine, self._pixels.fd, stall_s=config.stall_s)
        self.decoders = Decoders(config.decoders, config.limits, self._pixels.fd)
        self._fetching = Fetching(config.fetch) if config.fetch else None
        self._model, self._config = model, config
        self._ended: Future[None] = Future()

    def __enter__(self) -> Self:
        config, model = self._config, self._model
        self.feeder = Feeder(
            self._store,
            self.engine,
            self.decoders,
            Pictures(self.decoders, self._pixels, config.media_root, config.blobs, self._fetching),
            places=self.places,
            join=self._join,
            build=model.build,
            build_digest=model.digest,
            lease_s=config.lease_s,
        )
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End at once: what still runs is given back."""
        self.feeder.stop(grace_s=0)
        self._thread.join()
        if self._fetching:
            self._fetching.close()
        self.engine.close()
        self.decoders.close()
        self._pixels.close()

    @property
    def ended(self) -> Future[None]:
        """Done when the feeder has stopped, with the error that ended it if there was one."""
        return self._ended

    @property
    def drain_asked(self) -> Future[None]:
        """Done once a person has asked this worker to take nothing new and to end (`pixmill worker drain`)."""
        return self.feeder.drain_asked

    def _join(self) -> int:
        config = self._config
        return self._store.join(
            Owner.current(),
            model=self._model.alias,
            device=config.engine.device,
            build=self._model.build,
            lease_s=config.lease_s,
        )

    def _run(self) -> None:
        try:
            self.feeder.run()
        except BaseException as error:  # noqa: BLE001  handed to whoever waits for this worker
            self._ended.set_exception(error)
        else:
            self._ended.set_result(None)
