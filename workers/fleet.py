"""The fleet: the workers and watches that `pixmill.toml` names, each as a program to run.

A [[worker]] table holds the options of `pixmill worker run`, with `_` for `-`, and perhaps a `name`:

    [[worker]]
    model = "internvl2-1b"
    device = "CPU"
    cores = "0-7"
    device_config = { INFERENCE_PRECISION_HINT = "f32" }

A [[watch]] table holds its `folders` and the options of `pixmill watch run`. Beside a [[worker]] it leaves the
answers to that, unless it says `local = true`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from pipeline.errors import NothingToRun, PixmillError, WorkerTableUnfit
from pipeline.settings import FILE, Given, Settings, nearest
from workers import devices
from workers.supervisor import Program

RUN = ("worker", "run")
WATCH = ("watch", "run")
NAME = "name"
FOLDERS = "folders"

Words = tuple[str, list[str]]
"""a program's name and the words of its command line"""


def fleet(
    settings: Settings,
    run: click.Command,
    look: Callable[[], Collection[str]] = devices.look,
    *,
    watch: click.Command | None = None,
) -> list[Program]:
    """The programs to run. A table that cannot be used, or a device that is not there, is an error before any starts.

    `run` is the command `pixmill worker run`, which knows its options; `watch` is `pixmill watch run`.
    """
    workers = settings.tables("worker")
    watches = settings.tables("watch") if watch else ()
    if not (workers or watches):
        raise NothingToRun(file=FILE)
    there = look()
    found = [_worker(table, number, settings, run, there) for number, table in enumerate(workers, 1)]
    if watch:
        found += [_watch(table, number, watch, alone=not workers) for number, table in enumerate(watches, 1)]
    return [
        Program(name=name, command=(sys.executable, "-P", "-m", "workers.supervised", *words))
        for name, (_, words) in zip(_names(found), found, strict=True)
    ]


def _worker(given: Given, number: int, settings: Settings, run: click.Command, there: Collection[str]) -> Words:
    table: Mapping[str, Any] = given.value  # type: ignore[assignment]
    with _unfit(given, "worker", str(table.get(NAME) or f"number {number}")):
        words = list(_words(table, run, besides=(NAME,)))
        # The command's own parser says what is wrong, before anything runs.
        device = run.make_context(" ".join(RUN), list(words)).params["device"] or settings.device
        devices.check(device, there)
    return str(table.get(NAME) or device), [*RUN, *words]


def _watch(given: Given, number: int, watch: click.Command, *, alone: bool) -> Words:
    table: Mapping[str, Any] = given.value  # type: ignore[assignment]
    label = str(table.get(NAME) or f"number {number}")
    with _unfit(given, "watch", label):
        words = list(_words(table if alone else {"local": False, **table}, watch, besides=(FOLDERS,)))
        # Behind --: a folder's name may begin with -.
        words += ["--", *_folders(table, given)]
        watch.make_context(" ".join(WATCH), list(words))
    return (label if NAME in table else "watch"), [*WATCH, *words]


def _folders(table: Mapping[str, Any], given: Given) -> list[str]:
    """The folders, which start from the file's own."""
    folders = table.get(FOLDERS)
    listed: list[Any] = folders if isinstance(folders, list) else [folders]
    if not listed or not all(isinstance(folder, str) and folder for folder in listed):
        raise ValueError('folders are texts, such as folders = ["/srv/in"]')
    return [str(given.folder / Path(folder).expanduser()) for folder in listed]


@contextmanager
def _unfit(given: Given, kind: str, name: str) -> Iterator[None]:
    try:
        yield
    except (click.ClickException, PixmillError, ValueError) as error:
        why = error.format_message() if isinstance(error, click.ClickException) else str(error)
        raise WorkerTableUnfit(kind=kind, name=name, file=given.origin, why=why) from None


def _words(table: Mapping[str, Any], run: click.Command, *, besides: tuple[str, ...]) -> Iterator[str]:
    options = {_key(option): option for option in run.params if isinstance(option, click.Option)}
    for key, value in table.items():
        if key in besides:
            continue
        if key not in options:
            raise ValueError(f"there is no option {key!r}{nearest(key, [*besides, *options]) or '.'}")
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
    elif isinstance(value, list) and option.multiple:
        yield from (f"{flag}={one}" for one in value)
    elif isinstance(value, list):
        yield f"{flag}={','.join(map(str, value))}"
    elif isinstance(value, bool | dict):
        raise ValueError(f"{key} is a text or a number, not {value!r}")
    else:
        yield f"{flag}={value}"


def _key(option: click.Option) -> str:
    return option.opts[-1].removeprefix("--").replace("-", "_")


def _names(found: list[Words]) -> Iterator[str]:
    """Each program's name; where several have the same, with a number."""
    total, seen = Counter(name for name, _ in found), Counter[str]()
    for name, _ in found:
        seen[name] += 1
        yield name if total[name] == 1 else f"{name}#{seen[name]}"
