"""Submitting: pictures and prompts become the items of a batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from pipeline.jobs import Item, JobSpec
from pipeline.locators import Picture
from pipeline.prompts import Prompt
from pipeline.store import Store
from pipeline.store.values import Added

FIRST_CHUNK = 64
"""Items stored before the first answers can begin; later chunks grow, for fewer transactions."""
LARGEST_CHUNK = 5_000


def ask_each(
    pictures: Iterable[Picture], prompts: Sequence[Prompt], model: str, device_class: str | None = None
) -> Iterator[Item]:
    """Every prompt about every picture; the questions about one picture stay side by side."""
    return ask(((picture, prompts) for picture in pictures), model, device_class)


def ask(
    pages: Iterable[tuple[Picture, Sequence[Prompt]]], model: str, device_class: str | None = None
) -> Iterator[Item]:
    """Each picture's own prompts about it, side by side."""
    for row, (picture, prompts) in enumerate(pages):
        for number, prompt in enumerate(prompts):
            spec = JobSpec(pictures=(picture,), prompt=prompt, model=model, device_class=device_class)
            yield Item(spec=spec, row=row, ask=number)


def submit(store: Store, batch: int, items: Iterable[Item], *, force: bool = False) -> Iterator[Added]:
    """Add items to a batch chunk by chunk, yielding what became of each chunk, and seal it at the end."""
    rows = 0
    for chunk in growing_chunks(items):
        added = store.add(batch, chunk, force=force)
        rows = chunk[-1].row + 1
        yield added
    store.seal(batch, rows)


def rehearse(store: Store, items: Iterable[Item], *, force: bool = False) -> Added:
    """What submitting these items would do."""
    return sum((store.rehearse(chunk, force=force) for chunk in growing_chunks(items)), Added())


def growing_chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Lists of items, the first small, each twice the one before."""
    source = iter(items)
    size = FIRST_CHUNK
    for first in source:
        yield [*chain([first], islice(source, size - 1))]
        size = min(size * 2, LARGEST_CHUNK)
