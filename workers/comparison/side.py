"""One side of a comparison: a model that answered the requests, and what that took."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.models import builds
from pipeline.store import Store
from workers.comparison.requests import Requests
from workers.session import Outcome, Session


@dataclass(frozen=True, kw_only=True)
class Side:
    """A build and how its answering went. What was known before was not measured."""

    model: str
    build: str
    family: str
    precision: str
    device: str
    size: int
    outcome: Outcome

    @property
    def measured(self) -> bool:
        """Whether its engine answered now: not when all was known, or taken from the cache."""
        return self._answered > 0 and self.outcome.engine.load_s > 0

    @property
    def load_s(self) -> float | None:
        return self.outcome.engine.load_s if self.measured else None

    @property
    def peak_memory(self) -> int | None:
        return self.outcome.engine.peak_memory if self.measured else None

    @property
    def answers_per_second(self) -> float | None:
        """From when the model was loaded."""
        seconds = self.outcome.seconds - self.outcome.engine.load_s
        return self._answered / seconds if self.measured and seconds > 0 else None

    def pictures_per_second(self, pictures: int) -> float | None:
        """Pictures with all their answers."""
        rate, items = self.answers_per_second, self.outcome.counts.total
        return rate * pictures / items if rate and items else None

    @property
    def _answered(self) -> int:
        return self.outcome.asked - self.outcome.cached


def ask(here: Session, requests: Requests, *, force: bool) -> Side:
    """Have a model answer all requests; what it answered before is not asked again."""
    name, spec = requests.batch(here.model.alias)
    batch = here.store.open_batch(name, origin="compare", spec=spec)
    outcome = here.answer(batch, requests.entries(here.model.alias), force=force)
    if not outcome.interrupted and (older := _older(here.store, batch.name, here.model.digest.hex())):
        here.progress.note(f"An older build of {here.model.alias} gave {len(older):,} of these answers: asking again.")
        here.store.requeue(older, fresh=False)
        outcome = here.answer(batch, requests.entries(here.model.alias))
    build = here.store.views.model(here.model.alias).build
    return Side(
        model=here.model.alias,
        build=here.model.digest.hex(),
        family=here.model.family,
        precision=build.precision,
        device=here.config.engine.device,
        size=builds.size(here.model.path),
        outcome=outcome,
    )


def _older(store: Store, batch: str, digest: str) -> list[int]:
    """The jobs of a batch that another build answered than the one that is compared."""
    answered = (item.answer for item in store.views.items(batch) if item.answer)
    return [answer.job for answer in answered if answer.build.digest != digest]
