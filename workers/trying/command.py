"""The command line that asks about everything, made from the one that asked about a sample."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import click


class Remembering(click.Command):
    """A command that keeps the words it was called with."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[__name__] = tuple(args)
        return super().parse_args(ctx, args)


def for_all(context: click.Context, program: Sequence[str], *, without: Collection[str]) -> str:
    """The same words for another command, without the options of these names."""
    words = list(context.meta[__name__])
    given, _, order = context.command.make_parser(context).parse_args(words)
    options = [one for one in dict.fromkeys(order) if isinstance(one, click.Option) and one.name not in without]
    spelled = [word for option in options for word in _spelled(option, given[option.name])]
    arguments = [word for one in order if isinstance(one, click.Argument) for word in _listed(given[one.name])]
    # Click has a sign of its own for an argument that is not there.
    places = [word for word in arguments if isinstance(word, str)]
    # A path like -x.jpg would be an option without it.
    guard = ["--"] if any(place.startswith("-") for place in places) else []
    return shlex.join([*program, *spelled, *guard, *places])


def _spelled(option: click.Option, value: Any) -> Iterator[str]:
    for one in _listed(value) if option.multiple else [value]:
        if option.is_flag:
            yield _longest(option.secondary_opts if one is False else option.opts)
        else:
            yield from (_longest(option.opts), str(one))


def _longest(names: Sequence[str]) -> str:
    return max(names, key=len)


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]
