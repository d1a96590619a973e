"""What two models are asked to be compared: pictures with their prompts, and the truth where it is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.evaluation.truth import Truth
from pipeline.locators import Picture
from pipeline.prompts import Ask, Defaults, Prompt, canonical
from pipeline.questions import Questions
from pipeline.sources.paths import from_paths
from pipeline.sources.rows import Row
from pipeline.store import Store
from pipeline.store.rows import ItemRow
from pipeline.submit import Entry, ask
from workers.demo.exercises import Exercise, exercises
from workers.demo.folder import Folder

SCENES = 24
SEED = 1


@dataclass(frozen=True, kw_only=True)
class Requests:
    """The same for each model that is asked."""

    spec: Mapping[str, Any]
    """what a person named, by which the batches are known again"""
    rows: Callable[[], Iterator[Row]]
    """each with its complete prompts"""
    truth: Truth = field(default_factory=Truth)

    def entries(self, model: str) -> Iterator[Entry]:
        return ask(self.rows(), lambda row: Ask.all(row.prompts), model)

    def batch(self, model: str) -> tuple[str, dict[str, Any]]:
        """The name of the batch that asks a model, and its spec: the same command finds it again."""
        spec = {"model": model, **self.spec}
        return f"compare-{model}-{blake2b(canonical(spec), digest_size=4).hexdigest()}", spec

    def insist(self) -> None:
        """Refuse to compare on nothing."""
        if next(self.rows(), None) is None:
            raise UsageError(detail="There is nothing to compare the models on.")


def of_scenes(folder: Path, questions: Questions, defaults: Defaults, limit: int | None) -> Requests:
    """Drawn scenes, each with its own questions whose answers are known, unless others are asked."""
    count = limit or SCENES
    tasks = list(exercises(SEED, max(SCENES, count)))
    drawn = Folder.at(folder)
    drawn.draw(tasks)

    asking = questions.asking(defaults)

    def rows() -> Iterator[Row]:
        for task in tasks[:count]:
            own = () if questions.asked else tuple(question.text for question in task.questions)
            row = Row(pictures=(Picture.at(drawn.pictures / task.name, None),), questions=own)
            yield replace(row, prompts=tuple(one.prompt for one in asking(row)))

    spec = {"scenes": count, **questions.spec(), "defaults": asdict(defaults)}
    return Requests(spec=spec, rows=rows, truth=_known(tasks))


def _known(tasks: Iterable[Exercise]) -> Truth:
    truth = Truth()
    for task in tasks:
        for question in task.questions:
            truth.add(task.name, question.text, question.answer)
    return truth


def of_paths(
    paths: Sequence[str],
    prompts: tuple[Prompt, ...],
    *,
    recursive: bool,
    limit: int | None,
    media_root: Path | None,
    note: Callable[[str], None],
) -> Requests:
    """Pictures of files, folders and patterns, each with all prompts."""

    def rows() -> Iterator[Row]:
        for picture in from_paths(paths, recursive=recursive, media_root=media_root, limit=limit, note=note):
            yield Row(pictures=(picture,), prompts=prompts)

    asked = [prompt.digest.hex() for prompt in prompts]
    spec = {"images": list(paths), "recursive": recursive, "limit": limit, "prompts": asked}
    return Requests(spec=spec, rows=rows)


def of_batch(store: Store, name: str, limit: int | None) -> Requests:
    """What another batch asked, picture by picture and word by word."""
    store.views.batch(name)  # says so if there is none

    def rows() -> Iterator[Row]:
        asked = (row for item in store.views.items(name) if (row := _row(item)))
        yield from islice(asked, limit)

    return Requests(spec={"batch": name, "limit": limit}, rows=rows)


def _row(item: ItemRow) -> Row | None:
    """A row that could not become a job asks nothing."""
    if item.prompt is None or item.question is None:
        return None
    head = (("system", item.prompt.system),) if item.prompt.system else ()
    messages = (*head, *item.prompt.examples, ("user", item.question))
    prompt = Prompt.from_stored(messages, item.prompt.parameters, item.prompt.form)
    pictures = (Picture(picture.locator, picture.size, picture.mtime_ns) for picture in item.pictures)
    return Row(pictures=tuple(pictures), prompts=(prompt,))
