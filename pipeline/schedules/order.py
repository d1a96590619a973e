"""An order: a command with what it was given, parsed when it was added, performed when its time has come."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from pipeline.deadlines import span
from pipeline.errors import CommandUnfit, UsageError
from pipeline.lazy import Entry
from pipeline.locators import locate, open_member, open_path, parted
from pipeline.models.builds import named
from pipeline.occasion import Occasion
from pipeline.settings import Settings, nearest
from pipeline.sources.globs import is_pattern
from pipeline.windows import Window

COMMANDS = {
    "submit": Entry("pipeline.commands.submit:submit", "ask about pictures"),
    "rerun": Entry("pipeline.commands.batch:rerun", "run a batch again"),
    "export": Entry("pipeline.commands.export:export", "write answers to a file"),
}
TYPED = {"rerun": "pixmill batch rerun"}
"""how people type it, where that is not its name alone"""
NEEDED = {
    "submit": (
        ("paths", "from_file", "manifest"),
        "which pictures? Name some, or a --from-file or --manifest.",
    ),
    "export": (("output", "beside"), "nobody is there to read it at that time. Name a file or a folder with -o."),
}
"""of what a command needs one, which it would say itself no sooner than it runs"""
READ = ("paths", "from_file", "manifest", "image_root", "schema", "file")
"""what commands read: a program that does not see all of it leaves the firing to others"""
WRITTEN = ("output", "errors")
ANSWERED_BY_A_PERSON = {"rerun": {"yes": True}}
STANDARD = "-"


@dataclass(frozen=True, slots=True)
class Order:
    """A command's name, and the options and arguments that were given, before they were converted.

    So a deadline of 6h counts from each firing, and a file of questions is read as it is then. Files are locators.
    """

    command: str
    given: Mapping[str, Any]

    @classmethod
    def parse(cls, words: Sequence[str], settings: Settings, zone: str | None = None) -> Order:
        """What a command line says, a window's hours in that zone. Raises CommandUnfit, and what the command says."""
        name, args = _named(words)
        command = COMMANDS[name].load()
        context = command.make_context(TYPED.get(name, f"pixmill {name}"), list(args))
        parsed, _, _ = command.make_parser(context).parse_args(list(args))
        given = {key: value for key, value in parsed.items() if _was_given(value)}
        _check(name, given)
        if name == "submit" and settings.model is not None:
            given.setdefault("model", settings.model)  # not what another machine's settings may say
        if "window" in given:
            given["window"] = str(Window.parse(given["window"], zone))  # nor its zone
        kept = {key: _kept(name, key, value, settings) for key, value in given.items()}
        return cls(name, {**ANSWERED_BY_A_PERSON.get(name, {}), **kept})

    def with_terms(self, **terms: str | None) -> Order:
        """With options that the schedule gives its submissions. Raises CommandUnfit, UsageError."""
        _check_deadline(terms.get("deadline"))
        for option, value in terms.items():
            if value is not None and self.command != "submit":
                raise CommandUnfit(words=self.command, why=f"--{option} is for schedules that submit.")
            if value is not None and option in self.given:
                raise CommandUnfit(words=self.command, why=f"--{option} is given twice: to the schedule and to it.")
        return Order(self.command, {**self.given, **{key: value for key, value in terms.items() if value is not None}})

    def stored(self) -> dict[str, Any]:
        return {"command": self.command, "given": dict(self.given)}

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> Order:
        """Raises CommandUnfit where a newer version has stored what this one would leave out."""
        name, given = stored.get("command", ""), stored.get("given", {})
        if name not in COMMANDS:
            raise CommandUnfit(words=name, why="this version of Pixmill does not know it.")
        if unknown := sorted(given.keys() - {parameter.name for parameter in COMMANDS[name].load().params}):
            raise CommandUnfit(words=name, why=f"this version of Pixmill does not know its {unknown[0]!r}.")
        if unlike := [key for key, value in given.items() if not _is_of_words(value)]:
            raise CommandUnfit(words=name, why=f"this version of Pixmill does not know such a {unlike[0]!r}.")
        return cls(name, given)

    def batch(self, otherwise: str) -> str:
        """The name of the batch it is about."""
        return str(self.given.get("name") or otherwise)

    def unseen(self, settings: Settings) -> str | None:
        """The first of the files it is about that this machine does not see, if there is one."""
        return next((path for path in self._places(settings) if not os.path.exists(path)), None)

    def perform(self, settings: Settings, occasion: Occasion) -> None:
        """Run the command. Raises whatever it does."""
        command = COMMANDS[self.command].load()
        given = {key: _opened(key, value, settings) for key, value in self.given.items()}
        with command.make_context(self.command, list(_spelled(command, given)), obj=occasion) as context:
            command.invoke(context)

    def _places(self, settings: Settings) -> Iterator[str]:
        for key in (*READ, *WRITTEN):
            values = self.given.get(key, ())
            for value in (values,) if isinstance(values, str) else values:
                if _is_file(value) and (path := open_path(value, settings.media_root)):
                    yield os.path.dirname(path) if key in WRITTEN else _before_pattern(path)
                elif _is_file(value):
                    yield value
        if os.path.isabs(model := self.given.get("model", "")):
            yield model


def _named(words: Sequence[str]) -> tuple[str, Sequence[str]]:
    name, *args = words if words and words[0] != "batch" else words[1:] or [""]
    if name not in COMMANDS:
        known = list(COMMANDS)
        raise CommandUnfit(words=name, why=f"it is none of {', '.join(known)}{nearest(name, known) or '.'}")
    return name, args


def _was_given(value: object) -> bool:
    """For what was not, click's parser has () or None or, since 8.3, a mark of its own."""
    return isinstance(value, str | bool) or (isinstance(value, list | tuple) and len(value) > 0)


def _is_of_words(value: object) -> bool:
    return all(isinstance(one, str | bool) for one in (value if isinstance(value, list) else [value]))


def _check(name: str, given: Mapping[str, Any]) -> None:
    if given.get("dry_run"):
        raise CommandUnfit(words=name, why="a rehearsal needs no schedule. Leave out --dry-run.")
    _check_deadline(given.get("deadline"))
    needed, why = NEEDED.get(name, ((), ""))
    if needed and not given.keys() & set(needed):
        raise CommandUnfit(words=name, why=why)


def _check_deadline(deadline: str | None) -> None:
    if deadline is not None and span(deadline) is None:
        detail = f"--deadline {deadline}: a schedule needs a span, such as 6h, which counts from each of its times."
        raise UsageError(detail=detail)


def _spelled(command: click.Command, given: Mapping[str, Any]) -> Iterator[str]:
    """What was given, as click reads it: it converts, checks and fills in what was not."""
    places: list[str] = []
    for parameter in command.params:
        value = given.get(parameter.name or "")
        values = value if isinstance(value, list) else [] if value is None else [value]
        if not isinstance(parameter, click.Option):
            places += values
        elif parameter.is_flag:
            yield from (max((parameter.opts if one else parameter.secondary_opts), key=len) for one in values)
        else:
            yield from (f"{max(parameter.opts, key=len)}={one}" for one in values)
    yield from ("--", *places)


def _each(value: Any, change: Callable[[str], str]) -> Any:
    return change(value) if isinstance(value, str) else [change(one) for one in value]


def _kept(command: str, key: str, value: Any, settings: Settings) -> Any:
    if key in (*READ, *WRITTEN):
        if value == STANDARD:
            raise CommandUnfit(words=command, why="nobody is there to read or write at that time. Name a file, not -.")
        return _each(value, lambda path: _locator(key, path, settings))
    if key == "model" and named(value, settings.home) is None and os.path.isdir(value):
        return os.path.abspath(value)
    return list(value) if isinstance(value, tuple) else value


def _locator(key: str, path: str, settings: Settings) -> str:
    """A file's locator; addresses, and names of the sets of questions that come with Pixmill, stay what they are."""
    if "://" in path or (key == "file" and os.sep not in path and not os.path.exists(path)):
        return path
    file, member = parted(path)
    return locate(file, settings.media_root, member)


def _opened(key: str, value: Any, settings: Settings) -> Any:
    return _each(value, lambda text: _path(text, settings)) if key in (*READ, *WRITTEN) else value


def _path(text: str, settings: Settings) -> str:
    if not _is_file(text):
        return text
    path = open_path(text, settings.media_root)
    if path is None:
        raise CommandUnfit(words=text, why="it lies below the media root, and PIXMILL_MEDIA_ROOT is not set here.")
    member = open_member(text)
    return path if member is None else f"{path}#{member}"


def _is_file(text: str) -> bool:
    return text.startswith(("file:", "media:"))


def _before_pattern(path: str) -> str:
    """The folder in which a pattern begins; a path that is none, as it is."""
    while is_pattern(path) and not os.path.lexists(path):
        path = os.path.dirname(path)
    return path
