"""What two models are asked to be compared: pictures with their questions, and the truth where it is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, Self

from pipeline.errors import UsageError
from pipeline.evaluation.truth import Truth
from pipeline.jobs import Item, JobSpec
from pipeline.locators import Picture
from pipeline.prompts import Defaults, Prompt, canonical
from pipeline.questions import Questions
from pipeline.sources.paths import from_paths
from pipeline.sources.rows import Row, rows_of
from pipeline.store import Store
from pipeline.store.rows import ItemRow
from pipeline.submit import Entry, ask
from workers.demo.exercises import Exercise, exercises
from workers.demo.folder import Folder

SCENES = 24
SEED = 1


@dataclass(frozen=True, kw_only=True)
class Requests:
    """What a model is asked."""

    spec: Mapping[str, Any]
    """what a person named, by which the batches are known again"""
    entries: Callable[[str], Iterator[Entry]]
    """for a model of this name"""
    truth: Truth = field(default_factory=Truth)

    def batch(self, model: str) -> tuple[str, dict[str, Any]]:
        """The name of the batch that asks a model, and its spec: the same command finds it again."""
        spec = {"model": model, **self.spec}
        return f"compare-{model}-{blake2b(canonical(spec), digest_size=4).hexdigest()}", spec

    def insist(self) -> None:
        """Refuse to compare on nothing."""
        if next(self.entries(""), None) is None:
            raise UsageError(detail="There is nothing to compare the models on.")

    def as_asked(self, store: Store, model: str, batch: str) -> Self:
        """The same for another model, when this batch has asked the first one.

        Follow-up questions too are asked where the first one's answers led to them, whatever the other says: only what
        both are asked can be compared.
        """
        return replace(self, spec={**self.spec, "as_asked": model}, entries=of_batch(store, batch, None).entries)


def of_scenes(folder: Path, questions: Questions, defaults: Defaults, limit: int | None) -> Requests:
    """Drawn scenes, each with its own questions whose answers are known, unless others are asked."""
    count = limit or SCENES
    tasks = list(exercises(SEED, max(SCENES, count)))
    drawn = Folder.at(folder)
    drawn.draw(tasks)

    def rows() -> Iterator[Row]:
        for task in tasks[:count]:
            own = () if questions.asked else tuple(question.text for question in task.questions)
            yield Row(pictures=(Picture.at(drawn.pictures / task.name, None),), questions=own)

    spec = {"scenes": count, **questions.spec(), "defaults": asdict(defaults)}
    return Requests(spec=spec, entries=_asking(rows, questions, defaults), truth=_known(tasks))


def _asking(
    rows: Callable[[], Iterator[Row]], questions: Questions, defaults: Defaults
) -> Callable[[str], Iterator[Entry]]:
    return lambda model: ask(questions.checked(rows()), questions.asking(defaults), model)


def _known(tasks: Iterable[Exercise]) -> Truth:
    truth = Truth()
    for task in tasks:
        for question in task.questions:
            truth.add(task.name, question.text, question.answer)
    return truth


def of_paths(
    paths: Sequence[str],
    questions: Questions,
    defaults: Defaults,
    *,
    recursive: bool,
    limit: int | None,
    media_root: Path | None,
    note: Callable[[str], None],
) -> Requests:
    """Pictures of files, folders and patterns."""

    def rows() -> Iterator[Row]:
        return rows_of(from_paths(paths, recursive=recursive, media_root=media_root, limit=limit, note=note))

    named = {"images": list(paths), "recursive": recursive, "limit": limit}
    spec = {**named, **questions.spec(), "defaults": asdict(defaults)}
    return Requests(spec=spec, entries=_asking(rows, questions, defaults))


def of_batch(store: Store, name: str, limit: int | None) -> Requests:
    """What another batch asked, picture by picture and word by word."""
    store.views.batch(name)  # says so if there is none

    def entries(model: str) -> Iterator[Entry]:
        # A row that could not become a job asks nothing.
        asked = ((item, prompt) for item in store.views.items(name) if (prompt := _prompt(item)))
        for row, (item, prompt) in enumerate(islice(asked, limit)):
            pictures = tuple(Picture(picture.locator, picture.size, picture.mtime_ns) for picture in item.pictures)
            spec = JobSpec.of(pictures=pictures, prompt=prompt, model=model)
            yield Item(spec=spec, row=row, custom_id=item.custom_id, name=item.name)

    return Requests(spec={"batch": name, "limit": limit}, entries=entries)


def _prompt(item: ItemRow) -> Prompt | None:
    if item.prompt is None or item.question is None:
        return None
    head = (("system", item.prompt.system),) if item.prompt.system else ()
    messages = (*head, *item.prompt.examples, ("user", item.question))
    return Prompt.from_stored(messages, item.prompt.parameters, item.prompt.form)
