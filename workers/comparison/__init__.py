"""Comparison: the same requests through two builds, and how far their answers, speed and size part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.evaluation import reading
from pipeline.evaluation.truth import Truth
from pipeline.models import Model, use
from pipeline.options import EngineOptions
from pipeline.questions import Questions
from pipeline.settings import Settings
from pipeline.store import Store
from workers.comparison import requests
from workers.comparison.pairs import count
from workers.comparison.report import Report
from workers.comparison.requests import Requests
from workers.comparison.side import Side, ask
from workers.session import session

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a person wants two models to be compared on."""

    images: tuple[str, ...]
    recursive: bool
    batch: str | None
    questions: Questions
    gt: Path | None
    limit: int | None
    force: bool

    def requests(self, store: Store, settings: Settings, model: Model, tell: Tell) -> Requests:
        """What the first model is asked, in the words that suit it where a person gives none."""
        if self.batch and (self.images or self.questions.given):
            raise UsageError(detail="--from-batch has its own pictures and questions: leave out --images and -q.")
        if self.batch:
            return requests.of_batch(store, self.batch, self.limit)
        if self.images:
            return requests.of_paths(
                self.images,
                self.questions,
                model.defaults,
                recursive=self.recursive,
                limit=self.limit,
                media_root=settings.media_root,
                note=tell,
            )
        return requests.of_scenes(settings.home / "scenes", self.questions, model.defaults, self.limit)


def comparison(
    store: Store, settings: tuple[Settings, Settings], wish: Wish, engine: EngineOptions, *, tell: Tell
) -> Report | None:
    """Ask both models, one after the other, and hold their answers side by side; none if a person stopped it."""
    known = _truth(wish.gt, settings[0], tell) if wish.gt else None
    models = [use(store, each.model, each.home, tell=tell) for each in settings]
    asked = wish.requests(store, settings[0], models[0], tell)
    asked.insist()
    sides: list[Side] = []
    for each in settings:
        if sides:
            asked = asked.as_asked(store, sides[0].model, sides[0].outcome.batch.name)
        side = _side(store, each, asked, engine, force=wish.force)
        if side.outcome.interrupted:
            tell(f"{side.model}: {' '.join(side.outcome.sentences())}")
            return None
        sides.append(side)
    one, other = (store.views.items(side.outcome.batch.name) for side in sides)
    tally = count(one, other, known or asked.truth)
    if known and not tally.with_truth:
        tell(f"{wish.gt} says nothing about what was asked, such as {known.known[0].name}.")
    return Report(sides=(sides[0], sides[1]), tally=tally)


def _truth(file: Path, settings: Settings, tell: Tell) -> Truth:
    truth = reading.read(str(file), settings)
    if truth.unusable:
        tell(f"{file}: {truth.unusable.count:,} lines cannot be used: {truth.unusable.listed('; ')}.")
    return truth


def _side(store: Store, settings: Settings, asked: Requests, engine: EngineOptions, *, force: bool) -> Side:
    with session(settings, store, engine) as here:
        here.progress.note(f"Asking {here.model.alias}.")
        return ask(here, asked, force=force)
