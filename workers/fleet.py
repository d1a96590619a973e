"""The fleet: the workers that `pixmill.toml` names, each as a program to run.

A [[worker]] table holds the options of `pixmill worker run`, with `_` for `-`, and perhaps a `name`:

    [[worker]]
    model = "internvl2-1b"
    device = "CPU"
    cores = "0-7"
    device_config = { INFERENCE_PRECISION_HINT = "f32" }
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import click

from pipeline.errors import NothingToRun, PixmillError, WorkerTableUnfit
from pipeline.settings import FILE, Given, Settings, nearest
from workers import devices
from workers.supervisor import Program

RUN = ("worker", "run")
NAME = "name"


def fleet(settings: Settings, run: click.Command, look: Callable[[], Collection[str]] = devices.look) -> list[Program]:
    """The programs to run. A table that cannot be used, or a device that is not there, is an error before any starts.

    `run` is the command `pixmill worker run`, which knows its options.
    """
    tables = settings.tables("worker")
    if not tables:
        raise NothingToRun(file=FILE)
    there = look()
    found = [_worker(table, number, settings, run, there) for number, table in enumerate(tables, 1)]
    return [Program(name=name, command=command) for name, command in zip(_names(found), _commands(found), strict=True)]


def _worker(
    given: Given, number: int, settings: Settings, run: click.Command, there: Collection[str]
) -> tuple[str, list[str]]:
    """A table's name and the words of its command line."""
    table: Mapping[str, Any] = given.value  # type: ignore[assignment]
    label = str(table.get(NAME) or f"number {number}")
    try:
        words = list(_words(table, run))
        # The command's own parser says what is wrong, before anything runs.
        device = run.make_context(" ".join(RUN), list(words)).params["device"] or settings.device
        devices.check(device, there)
    except (click.ClickException, PixmillError, ValueError) as error:
        why = error.format_message() if isinstance(error, click.ClickException) else str(error)
        raise WorkerTableUnfit(name=label, file=given.origin, why=why) from None
    return str(table.get(NAME) or device), words


def _words(table: Mapping[str, Any], run: click.Command) -> Iterator[str]:
    options = {_key(option): option for option in run.params if isinstance(option, click.Option)}
    for key, value in table.items():
        if key == NAME:
            continue
        if key not in options:
            raise ValueError(f"there is no option {key!r}{nearest(key, [NAME, *options]) or '.'}")
        yield from _option(options[key], key, value)


def _option(option: click.Option, key: str, value: Any) -> Iterator[str]:
    """An option as it is written on a command line. Never its short form: a value may begin with -."""
    flag = option.opts[-1]
    if option.is_flag:
        if not isinstance(value, bool):
            raise ValueError(f"{key} is true or false, not {value!r}")
        yield from [flag] if value else option.secondary_opts[:1]
    elif option.multiple and isinstance(value, dict):
        yield from (f"{flag}={name}={content}" for name, content in value.items())
    elif isinstance(value, list):
        yield f"{flag}={','.join(map(str, value))}"
    elif isinstance(value, bool | dict):
        raise ValueError(f"{key} is a text or a number, not {value!r}")
    else:
        yield f"{flag}={value}"


def _key(option: click.Option) -> str:
    return option.opts[-1].removeprefix("--").replace("-", "_")


def _names(found: list[tuple[str, list[str]]]) -> Iterator[str]:
    """Each worker's name; where several have the same, with a number."""
    total, seen = Counter(name for name, _ in found), Counter[str]()
    for name, _ in found:
        seen[name] += 1
        yield name if total[name] == 1 else f"{name}#{seen[name]}"


def _commands(found: list[tuple[str, list[str]]]) -> Iterator[tuple[str, ...]]:
    return ((sys.executable, "-P", "-m", "workers.supervised", *RUN, *words) for _, words in found)
