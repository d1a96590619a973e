"""Exports: rows become files that other tools read. `EXPORTERS` is the table of formats.

A format opens what an order asks for as a context that gives a writer. Left in peace, it puts the finished
file in its place; left by an exception, it leaves what was there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from pipeline.errors import SetupError, UsageError
from pipeline.export import sidecars
from pipeline.export.coco import coco
from pipeline.export.csv import csv
from pipeline.export.files import STDOUT
from pipeline.export.imagefolder import imagefolder
from pipeline.export.jsonl import jsonl
from pipeline.export.labelstudio import labelstudio
from pipeline.export.openai import openai
from pipeline.export.order import Order, Tally
from pipeline.export.parquet import parquet
from pipeline.export.vqav2 import vqav2
from pipeline.jobs import State
from pipeline.store.rows import ItemRow


class Writer(Protocol):
    """What a format gives."""

    def write(self, item: ItemRow) -> None: ...


@dataclass(frozen=True)
class Format:
    """A format; one that tells of failures gets all items, any other those with an answer."""

    open: Callable[[Order, Tally], AbstractContextManager[Writer]]
    failures: bool = False
    suffix: str | None = None
    """files with this ending are in this format unless something else is asked for"""
    unit: str = "line"
    options: tuple[str, ...] = ()
    """what of an order it heeds besides the target"""
    needs: str | None = None
    """a package that the extra of the format's name brings"""


BESIDE = ("beside", "on_exists", "image_root")
EXPORTERS: dict[str, Format] = {
    "jsonl": Format(jsonl, failures=True, suffix=".jsonl"),
    "csv": Format(csv, failures=True, suffix=".csv", unit="row", options=("spreadsheet",)),
    "parquet": Format(parquet, failures=True, suffix=".parquet", unit="row", needs="pyarrow"),
    "openai": Format(openai, failures=True),
    "txt": Format(sidecars.txt, unit="file", options=BESIDE),
    "caption": Format(sidecars.caption, unit="file", options=BESIDE),
    "json": Format(sidecars.json, unit="file", options=BESIDE),
    "xmp": Format(sidecars.xmp, unit="file", options=BESIDE),
    "coco": Format(coco, unit="result"),
    "vqav2": Format(vqav2, unit="result"),
    "imagefolder": Format(imagefolder, unit="row", options=("on_exists", "image_root", "pictures")),
    "labelstudio": Format(labelstudio, unit="task", options=("image_root",)),
}
PLAIN = "jsonl"
BY_SUFFIX = {format.suffix: name for name, format in EXPORTERS.items() if format.suffix}
"""the format of a file whose name alone is given"""

_FAILED = (State.FAILED, State.CANCELLED)


def export(
    items: Iterable[ItemRow],
    format: str,
    order: Order,
    errors: str | None = None,
    tell: Callable[[Tally], object] = lambda tally: None,
) -> Tally:
    """Write the items, those that failed into a file of their own if one is named. `tell` hears how far it is."""
    if errors is not None and errors == order.target:
        raise UsageError(detail=f"The answers and the failures are both to go to {errors}: leave out --errors.")
    asked, tally = _ready(format), Tally(tell=tell)
    with ExitStack() as stack:
        answered = failed = stack.enter_context(asked.open(order, tally))
        if errors is not None:
            told = asked if asked.failures else EXPORTERS[PLAIN]
            failed = stack.enter_context(told.open(replace(order, target=errors), tally))
        tell(tally)
        for item in items:
            if errors is not None and item.state in _FAILED:
                failed.write(item)
            elif asked.failures or item.answer is not None:
                answered.write(item)
            else:
                tally.left("without an answer")
            tally.has_read()
    return tally


def format_of(target: str) -> str:
    """The format that a file's name asks for. Raises UsageError, and SetupError when it is not installed."""
    if target == STDOUT:
        return PLAIN
    suffix = Path(target).suffix.lower()
    if suffix not in BY_SUFFIX:
        known = ", ".join(BY_SUFFIX)
        raise UsageError(detail=f"-o {target}: which format? Name a file that ends in {known}.")
    _ready(BY_SUFFIX[suffix])
    return BY_SUFFIX[suffix]


def _ready(name: str) -> Format:
    """The format, if all it needs is installed."""
    format = EXPORTERS[name]
    if format.needs is not None and find_spec(format.needs) is None:
        raise SetupError(detail=f"The format {name} is not installed here. Run: pip install 'pixmill[{name}]'")
    return format
