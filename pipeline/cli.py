"""The program `pixmill`: a table of commands, each loaded when it is called.

The table repeats each command's short help, so that `pixmill --help` loads none of them.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from io import TextIOWrapper
from typing import NamedTuple

import click

from pipeline import __version__
from pipeline.errors import PixmillError


class Entry(NamedTuple):
    place: str
    """module:command"""
    help: str


COMMANDS = {
    "demo": Entry("workers.commands.demo:demo", "Ask the bundled model about drawn scenes; mark its answers."),
    "run": Entry("workers.commands.run:run", "Ask about pictures and answer here and now."),
    "status": Entry("pipeline.commands.status:status", "Show how everything stands."),
    "answers": Entry("pipeline.commands.answers:answers", "List answers, newest first."),
    "batch": Entry("pipeline.commands.batch:batch", "List batches, or show one."),
    "failed": Entry("pipeline.commands.failed:failed", "List, show or retry what failed."),
    "export": Entry("pipeline.commands.export:export", "Write answers to a file."),
    "models": Entry("pipeline.commands.models:models", "List models, show one, or set an alias."),
    "devices": Entry("workers.commands.devices:devices", "List the devices OpenVINO finds here."),
    "db": Entry("pipeline.commands.db:db", "Upgrade the database, or say its schema."),
}


class LazyGroup(click.Group):
    """A group whose commands are found in `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return load(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            from pipeline.settings import nearest

            ctx.fail(f"There is no command {args[0]!r}{nearest(args[0], list(COMMANDS)) or '.'}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


def load(name: str) -> click.Command:
    """The command of that name, imported now."""
    module, _, attribute = COMMANDS[name].place.partition(":")
    command = getattr(importlib.import_module(module), attribute)
    if not isinstance(command, click.Command):
        raise TypeError(f"{COMMANDS[name].place} is no command")
    return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", message="pixmill %(version)s")
def cli() -> None:
    """Captions for pictures and answers about them, in bulk, on OpenVINO.

    Answers are kept in a database with all that says how they came about.
    Running a command again goes on where it stopped.
    """


def main(args: Sequence[str] | None = None) -> int:
    """Run the program; the number is its exit code."""
    _print_whatever_names_hold()
    try:
        code = cli.main(args, prog_name="pixmill", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except PixmillError as error:
        return _say(error)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130
    finally:
        _flush()


def _say(error: PixmillError) -> int:
    from pipeline.settings import debugging

    if debugging():
        traceback.print_exc()
    click.echo(f"Error: {error}", err=True)
    return error.exit_code


def _print_whatever_names_hold() -> None:
    """A name that the terminal's encoding lacks is shown escaped instead of ending the program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _flush() -> None:
    """A reader that has seen enough (`pixmill answers | head`) is no reason for a word at exit."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
