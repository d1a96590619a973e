"""`pixmill up`: run the workers and watches that `pixmill.toml` names."""

from __future__ import annotations

import click

from pipeline.cli import cli
from pipeline.display import note
from pipeline.settings import read_settings
from workers.fleet import RUN, WATCH, fleet
from workers.supervisor import Supervisor


@click.command()
@click.option("--dry-run", is_flag=True, help="Check the tables and say what would be run.")
@click.pass_context
def up(context: click.Context, dry_run: bool) -> int:
    """Run the workers and watches that pixmill.toml names.

    Each [[worker]] table holds the options of `pixmill worker run`, each [[watch]] table `folders` and the options
    of `pixmill watch run`. What crashes is started again.
    One Ctrl-C or SIGTERM lets all finish what they have begun, a second one does not wait.
    """
    programs = fleet(read_settings(), _command(context, RUN), watch=_command(context, WATCH))
    if dry_run:
        for program in programs:
            click.echo(f"{program.name}: pixmill {' '.join(program.command[4:])}")
        return 0
    supervisor = Supervisor(programs, note)
    return 0 if supervisor.run() else 130


def _command(context: click.Context, words: tuple[str, ...]) -> click.Command:
    """The command itself: a table's options are checked by its own parser."""
    command: click.Command | None = cli
    for name in words:
        command = command.get_command(context, name) if isinstance(command, click.Group) else None
    assert command
    return command
