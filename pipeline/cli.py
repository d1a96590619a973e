"""The program `pixmill`: a table of commands, each loaded when it is called."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from io import TextIOWrapper

import click

from pipeline import __version__
from pipeline.errors import PixmillError, SetupError
from pipeline.lazy import Entry, LazyGroup

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

COMMANDS = {
    "demo": Entry("workers.commands.demo:demo", "Ask the bundled model about drawn scenes; mark its answers."),
    "run": Entry("workers.commands.run:run", "Ask about pictures and answer here and now."),
    "try": Entry("workers.commands.try_:try_", "Ask about a few pictures now; say what all would take."),
    "submit": Entry("pipeline.commands.submit:submit", "Ask about pictures; workers answer."),
    "watch": Entry("workers.commands.watch:watch", "Watch folders: what is dropped into them is answered."),
    "worker": Entry("workers.commands.worker:worker", "Run a worker, list workers, or let one end."),
    "up": Entry("workers.commands.up:up", "Run the workers and watches that pixmill.toml names."),
    "status": Entry("pipeline.commands.status:status", "Show how everything stands."),
    "answers": Entry("pipeline.commands.answers:answers", "List answers, newest first."),
    "review": Entry("pipeline.commands.review:review", "Mark and correct answers, one by one or in a file."),
    "batch": Entry("pipeline.commands.batch:batch", "List, show, pause, resume, cancel, rerun or remove batches."),
    "report": Entry(
        "workers.commands.report:report", "Show what changed: answers, failures, what waits, slower machines."
    ),
    "schedule": Entry("pipeline.commands.schedule:schedule", "Start commands by the clock."),
    "failed": Entry("pipeline.commands.failed:failed", "List, show or retry what failed."),
    "export": Entry("pipeline.commands.export:export", "Write answers to a file, or to a folder of files."),
    "eval": Entry("workers.commands.eval:evaluate", "Mark answers against the truth in a file."),
    "models": Entry(
        "pipeline.commands.models:models", "Get, make, check and compare models; list, show or remove them."
    ),
    "prompts": Entry(
        "pipeline.commands.prompts:prompts", "List and show the sets of questions that come with Pixmill."
    ),
    "devices": Entry("workers.commands.devices:devices", "List the devices OpenVINO finds here."),
    "prune": Entry("pipeline.commands.prune:prune", "Show what is old and needed by nothing, or remove it."),
    "forget": Entry(
        "pipeline.commands.forget:forget", "Forget pictures, with all that was asked and answered about them."
    ),
    "db": Entry("pipeline.commands.db:db", "Upgrade the database, or say its schema."),
}


@click.group(cls=LazyGroup, entries=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
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
        try:
            return _run(args)
        finally:
            _flush()
    except OSError as error:
        if error.filename is not None or error.errno not in _FULL:
            raise
        _discard_output()
        return _say(SetupError(detail=f"Standard output cannot be written: {os.strerror(error.errno).lower()}."))


def _run(args: Sequence[str] | None) -> int:
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
        if sys.stdout is not None:  # as it is where a shell closed it: >&-
            sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()


def _discard_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
